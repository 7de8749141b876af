"""Words that mean the same for what is asked, in several languages: the model learns what each meaning is worth.

It is no rule: a meaning is a feature like a word. Its use is for words that no training row has, or none in that
language. Words are in lower case and without accents; a star stands for any ending; in Chinese and Japanese, whose
characters are read one by one, they are pairs of characters.
"""

from __future__ import annotations

from functools import lru_cache

_MEANINGS = {
    "explain": "explain* explica* explique* expliqu* erklar* describe* spiega* clarif* understand entender entend* meaning "
    "significa* bedeutet signifie teach walk ensina* ensine* comprend* mean means объясн* 解|释 说|明 설명*",
    "fix": "fix* repair* debug* depur* correct corrige* corrij* corrig* conserta* conserte* arruma* arrume* arregla* repara* "
    "behebe* reparier* korrigier* resolve solve troubleshoot* diagnos* исправ* 修|复 고쳐* 수정*",
    "broken": "broken broke breaks fail* falha* falhou error* erro erros err crash* bug bugs wrong errado errada exception* "
    "excecao issue stuck hang* hangs freez* trava* travando quebr* funciona* funktionier* fonctionne marche ошибк* работает "
    "leak* segfault undefined null nan unexpected inesperad* stopped parou problem* doesn't don't won't isn't can't didn't "
    "instead expected deveria should estoura* lanca throws warning warnings stacktrace traceback fehler* erreur* 500 404",
    "improve": "refactor* refator* refactoriz* optimi* otimiz* simplif* clean* limp* restructur* reestrutur* rename* renom* "
    "extract* moderni* speed faster rapid* convert* convert* migrat* migr* port rewrite* reescrev* reescrib* replace* "
    "substitu* split* separ* reduc* shorter shorten* deduplicat* duplicat* typed readable legivel idiomatic* idiomatic "
    "async upgrade* atualiz* add adicion* agreg* verbesser* umschreib* optimier* amelior* рефактор* оптимиз* 优|化 重|构 리팩토링*",
    "review": "review* revis* feedback critique critic* avali* evalu* bewert* thoughts opinion* opinia* opiniao audit* inspect* "
    "smell* problem* vulnerab* secure security seguranca seguro lgtm approve aprova* merge pr comments comentar* judge assess* "
    "practice* pratica* smells look olhada looks acha acham think pensa pensas ревью 审|查 검토* prufe* relis*",
    "tests": "test* teste* prueba* tests unittest* pytest* jest junit mocha vitest cypress playwright selenium rspec phpunit "
    "xunit nunit mockito mock* stub* fixture* coverage cobertura assertion* e2e tdd bdd gherkin fuzz* property-based parametri* "
    "regression testfall* testfalle тест* 测|试 테스트*",
    "translate": "translat* traduz* traduc* tradui* traduis* ubersetz* traduci* traduz* vertalen переве* 翻|译 번역* localiz* "
    "render traducao versao",
    "tongue": "english portuguese spanish french german italian japanese chinese russian korean arabic dutch polish turkish "
    "swedish hindi latin greek hebrew danish norwegian finnish czech ingles portugues espanhol frances alemao italiano "
    "japones chines russo coreano arabe espanol aleman deutsch englisch franzosisch spanisch anglais espagnol allemand "
    "mandarin brazilian catalan ukrainian vietnamese thai en pt es fr de it ja zh",
    "summarize": "summar* resum* resumo resumen resume zusammenfass* riassum* tl;dr tldr abstract condens* shorten* digest* "
    "takeaway* gist minutes key points bullet* topico* topicos extract* extrai* extraia extra* identify list liste lista quote "
    "entities entidades paragraph paragrafo passage text texto trecho article artigo according segundo below abaixo above acima "
    "transcript* meeting reuniao mentioned mention* 总|结 摘|要 요약* кратк*",
    "write": "write* writing escrev* escreva escrib* schreib* ecri* ecris scrivi compose* draft* redig* redija redact* rewrite* "
    "rephras* reword* paraphras* parafrase* polish proofread* tone tom improve edit continue invent* imagine напиши сочини 写",
    "genre": "story stories poem* poema* haiku essay email e-mail mail letter carta blog post speech discurso song lyrics letra "
    "novel chapter article artigo slogan tagline headline ad advert* biography bio cover resume curriculum cv proposal proposta "
    "press release announcement anuncio product description descricao script roteiro dialogue dialogo monologue character "
    "personagem conto cronica historia cuento geschichte gedicht poeme lettre caption legenda tweet linkedin newsletter "
    "invitation convite review resenha fairy tale limerick sonnet joke piada toast eulogy greeting testimonial report whatsapp",
    "create": "create* cria* crie criar generat* gera* gere gerar genera* implement* build* constru* make faz faca fazer haz hacer "
    "develop* desenvolv* design* desenh* produce* provide give program* erstell* cree* creer code codigo snippet need",
    "program": "function* funcao funcoes funcion* funktion* fonction* class classe clase method* metodo* script* program* api "
    "endpoint* regex* query* consulta* component* componente* algorithm* algoritmo* module modulo* loop* array* list* lista* "
    "string* dict* json yaml xml csv html css sql database banco tabela table* schema* server* servidor* client* app* crud "
    "class* struct* pointer* recursi* iterator* decorator* closure* lambda async* await thread* mutex* variable* variav* "
    "parameter* parametro* compiler* compila* library biblioteca framework* package pacote import dependency dependenc* "
    "dockerfile makefile cli parser* cron pipeline* webhook* login oauth jwt token* cache* index* hash* tree stack queue heap "
    "linked binary sort* ordena* join* transaction* migration* functional inheritance heranca polymorphism* polimorfismo "
    "interface* abstract* generic* garbage memory memoria runtime bytecode syntax sintaxe operator operador boolean integer "
    "float overflow object* objeto* oop functor* monad* promise* callback* event listener* hook* state props render* dom "
    "frontend backend fullstack microservice* serverless container* deploy* kernel linux bash shell terminal commit* branch* "
    "rebase repo repository code codigo coding программ* функц* код 代|码 函|数 코드*",
    "technology": "python java javascript typescript js ts c c++ cpp c# csharp golang go rust ruby php swift kotlin scala perl "
    "haskell elixir erlang clojure lua dart r matlab julia fortran cobol assembly vba excel powershell bash sql mysql postgres "
    "postgresql sqlite mongodb redis elasticsearch kafka rabbitmq react angular vue svelte next nextjs node nodejs express "
    "nestjs django flask fastapi rails laravel spring boot hibernate dotnet net asp unity unreal flutter android ios tensorflow "
    "pytorch keras sklearn numpy pandas matplotlib opencv spark hadoop airflow dbt docker kubernetes k8s helm terraform ansible "
    "jenkins github gitlab git aws azure gcp lambda s3 nginx apache linux ubuntu debian windows macos npm yarn pip conda gradle "
    "maven webpack vite babel eslint tailwind bootstrap jquery graphql rest grpc websocket http https tcp cors ssl tls ssh "
    "regex html css xml json yaml vim vscode arduino raspberry solidity latex selenium jupyter qt bash powershell",
    "math": "calculate* calcul* compute prove* prova* probabilit* probabilidad* equation* equacao ecuacion gleichung integral* "
    "derivative* derivada* limit matrix matriz determinant* triangle* triangulo* angle* angulo* area perimeter* perimetro* circle "
    "circulo radius raio sum soma product fraction* fracao percent* porcent* ratio average media mean median interest juros "
    "prime primo primos divisible divisor* remainder resto integer* inteiro* factor* polynom* polinom* logarithm* sqrt root raiz "
    "solve resolv* resuelv* simplify* how-many quantos quantas cuantos cuantas wieviel combien сколько cost* custa* price* "
    "total speed velocidade km miles hours horas liters litros kg dollars reais euros twice dobro half metade per cada each "
    "puzzle* logic logica theorem* teorema* geometric* arithmetic* sequence* progressao dice dados coin moeda permut* combin* 多|少",
    "act": "open* abra abre abrir go va navega* click* clique clica* book reserv* buy compre compra order cart carrinho download* "
    "baixe baixa upload* install* instal* run rode roda execut* execute deploy* delet* apag* remov* move mova copy copie rename* "
    "send envie envia manda* mande schedul* agend* marque marca cancel* check verifi* search procur* pesquis* busca* busque find "
    "encontr* fetch browse* visit* visite login log commit* push* clone* merge* checkout rollback restart* reinici* monitor* "
    "configure set setup backup compress* list save salve salva update* atualiz* post publish* publique publica notif* avis* "
    "count* zip unzip grep fill submit subscribe play turn file ejecuta* abre clona*",
    "system": "file* arquivo* ficheiro* folder* pasta* directory diretori* disk disco log logs inbox email* calendar calendario "
    "browser navegador website site page pagina cart account conta repo repository repositorio branch pull pr issue* ticket* "
    "jira slack channel canal server servidor* cluster staging production producao prod pipeline ci build release tag flight* "
    "voo hotel meeting reuniao spreadsheet planilha sheet drive desktop downloads process* port porta user* password* database "
    "container* dashboard home tests",
    "then": "then depois entao after apos finally finalmente until ate afterwards report relat* open once when all todos todas "
    "every cada tell diga avise confirm* luego dann ensuite",
    "about-world": "who quem country pais capital history historia best melhor recommend* recomend* health saude food comida "
    "travel viagem movie filme book livro music musica planet* planeta* animal* war guerra president* king rei city cidade year "
    "ano world mundo money dinheiro doctor medico sleep dormir exercise weather clima difference diferenca why porque when quando",
    "ask": "what qual quais que o-que which cual was welche quel quelle who quem wer where onde wo how como wie comment why "
    "porque por-que warum pourquoi when quando wann is are does do e sao почему что как какой 什|么 怎|么 为|什",
}
_EXACT: dict[str, list[str]] = {}
_BEGUN: dict[str, list[str]] = {}
for _meaning, _words in _MEANINGS.items():
    for _word in sorted(set(_words.split())):
        (_BEGUN if _word[-1] == "*" else _EXACT).setdefault(_word.rstrip("*").replace("|", " "), []).append(_meaning)
_LENGTHS = range(min(map(len, _BEGUN)), max(map(len, _BEGUN)) + 1)


@lru_cache(maxsize=8192)
def meanings(word: str) -> tuple[str, ...]:
    """What `word` may mean, if it is known here."""
    found = set(_EXACT.get(word, ()))
    for length in _LENGTHS:
        if length > len(word):
            break
        found.update(_BEGUN.get(word[:length], ()))
    return tuple(sorted(found))
