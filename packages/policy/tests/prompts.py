"""Prompts with the task that a person would say they ask for. None is in the training rows."""

from __future__ import annotations

ADD = "def add(a, b):\n    return a - b\n"
SHOP = """class Basket:
    def __init__(self):
        self.items = []

    def total(self):
        t = 0
        for i in range(len(self.items)):
            t = t + self.items[i].price * self.items[i].count
        return t
"""
TRACE = """Traceback (most recent call last):
  File "shop.py", line 12, in <module>
    print(basket.total())
AttributeError: 'NoneType' object has no attribute 'price'
"""
DIFF = """diff --git a/shop.py b/shop.py
--- a/shop.py
+++ b/shop.py
@@ -4,3 +4,3 @@ class Basket:
-        t = 0
+        t = Decimal(0)
"""
STORY = (
    "The harbour of Port Ellis was built in 1871 by a company that traded in slate. When the quarry closed, the company "
    "sold the quays to the town for one pound. Since 1990 they belong to a trust, which rents them to small boatyards, "
    "and last year a fire destroyed two of the five sheds. The trust now asks for donations to rebuild them."
)

PROMPTS = (
    ("Write a Python function that returns the n largest files in a folder", "code_generation"),
    ("how can I parse a date like 03/04/2021 in Go?", "code_generation"),
    ("SQL query for the ten customers who spent most last month", "code_generation"),
    ("Crie uma API REST em Flask com login e cadastro de produtos", "code_generation"),
    ("Escreva um script bash que renomeia todas as fotos pela data", "code_generation"),
    (f"What does this class do?\n\n{SHOP}", "code_explanation"),
    (f"```python\n{SHOP}```\nExplain line by line please", "code_explanation"),
    ("What is the difference between a process and a thread in an operating system?", "code_explanation"),
    (f"Explique o que esse código faz:\n```python\n{SHOP}```", "code_explanation"),
    ("O que é uma closure em JavaScript?", "code_explanation"),
    (f"{TRACE}\nWhy do I get this?", "code_debugging"),
    (f"add(2, 2) gives 0, what is wrong?\n{ADD}", "code_debugging"),
    (f"My total is wrong when the basket has two items of one kind. Please fix it.\n{SHOP}", "code_debugging"),
    ("npm install fails with ERESOLVE unable to resolve dependency tree", "code_debugging"),
    (f"Meu código está dando este erro, como resolvo?\n{TRACE}", "code_debugging"),
    (f"Corrija o bug:\n{ADD}", "code_debugging"),
    (f"Refactor this class to be more idiomatic:\n{SHOP}", "code_refactoring"),
    (f"Make this faster without changing what it returns.\n```python\n{SHOP}```", "code_refactoring"),
    (f"Convert to TypeScript:\n{SHOP}", "code_refactoring"),
    (f"Refatore o código abaixo para usar sum() e um gerador\n{SHOP}", "code_refactoring"),
    (f"Please review my change.\n\n{DIFF}", "code_review"),
    (f"Any security problems in this code? No need to change it.\n{SHOP}", "code_review"),
    (f"Faça uma revisão deste código e aponte os problemas\n```python\n{SHOP}```", "code_review"),
    (f"Write unit tests for this class with pytest\n{SHOP}", "test_writing"),
    ("Write jest tests for a function that validates e-mail addresses", "test_writing"),
    (f"Escreva testes unitários para a função:\n{ADD}", "test_writing"),
    ("A train leaves at 9:40 and travels 210 km at 84 km/h. When does it arrive?", "math_reasoning"),
    ("Solve 3x^2 - 12x + 9 = 0", "math_reasoning"),
    ("Prove that the square root of 7 is irrational.", "math_reasoning"),
    ("Quanto é 15% de 240?", "math_reasoning"),
    ("João tem 12 maçãs e dá um terço para Maria. Com quantas ele fica?", "math_reasoning"),
    ("Write a short story about a lighthouse keeper who is afraid of the dark", "writing"),
    ("Draft an e-mail to my landlord about the broken heating", "writing"),
    ("Escreva um poema sobre o mar", "writing"),
    ("Escreva um e-mail pedindo férias ao meu chefe", "writing"),
    (f"Summarize the following text in two sentences.\n\n{STORY}", "summarization_extraction"),
    (f"{STORY}\n\nWho owns the quays today, according to the text?", "summarization_extraction"),
    (f"Resuma o texto a seguir em três tópicos:\n\n{STORY}", "summarization_extraction"),
    ("Translate to Portuguese: The meeting has been moved to Thursday.", "translation"),
    (f"Traduza para o alemão o parágrafo abaixo.\n\n{STORY}", "translation"),
    ("How do you say 'I would like the bill' in Italian?", "translation"),
    ("Why do cats purr?", "general_qa"),
    ("What should I see in Lisbon in two days?", "general_qa"),
    ("Qual é a capital da Mongólia?", "general_qa"),
    ("Como faço para dormir melhor?", "general_qa"),
    ("Clone the repository, find out why the build fails, fix it and open a pull request", "agentic"),
    ("Open the shop's website, search for a red kettle under 40 euros and put it into the cart", "agentic"),
    ("Abra o navegador, procure voos para Recife em março e reserve o mais barato", "agentic"),
)
