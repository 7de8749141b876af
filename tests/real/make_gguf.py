#!/usr/bin/env python3
"""Write a tiny llama-architecture GGUF without any download (needs: pip install gguf numpy).

    python make_gguf.py toy.gguf                    random weights: words, others for another prompt
    python make_gguf.py toy.gguf 'text to answer'   answers every chat with that text, then stops
    python make_gguf.py toy.gguf 'text' 16384       the same with wider layers, so some ten times as slowly

llama.cpp and what is built on it load both. The second kind has no attention: each token's
embedding points at one next token, so a text (a tool call, <think>, an emoji cut in two
tokens) comes out of the real server's own sampler, parser and stream.
"""

import itertools
import re
import sys

import numpy as np

WORDS = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron
pi rho sigma tau upsilon phi chi psi omega north east south west red green blue one two
three four five six seven eight nine ten""".split()  # noqa: SIM905
NEWLINE = "\u010a"  # as byte-level BPE writes it
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = """{%- if tools %}<|im_start|>system
<tools>
{%- for t in tools %}
{{ t | tojson }}
{%- endfor %}
</tools>
Call one with <tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for m in messages %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{% if m.content %}{{ m.content }}{% endif %}
{%- for c in m.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
DIM, HEADS, LAYERS, FF, CTX = 128, 4, 2, 128, 4096


def byte_letters():
    """The printable stand-ins for the 256 bytes in byte-level BPE (as in GPT-2)."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    table = {b: chr(b) for b in keep} | {b: chr(256 + i) for i, b in enumerate(rest)}
    return [table[b] for b in range(256)]


def vocabulary(script=None):
    """Tokens (SPECIAL last), merges, and the ids of the tokens that make up the script."""
    letters = byte_letters()
    words = ["\u0120" + w for w in WORDS]  # U+0120 stands for the space before a word
    tokens, merges = letters + words, []
    for w in words:  # merges need every prefix of a word as a token
        for i in range(1, len(w)):
            if (pair := f"{w[:i]} {w[i]}") not in merges:
                merges.append(pair)
            if w[: i + 1] not in tokens:
                tokens.append(w[: i + 1])
    chain, piece = [], ""  # the script as tokens, none of them twice
    for part in re.findall(rb"\s*\S{1,4}|\s+", (script or "").encode()):
        piece += "".join(letters[b] for b in part)
        if piece not in tokens:
            tokens.append(piece)
        if (i := tokens.index(piece)) not in chain and piece != NEWLINE:
            chain.append(i)
            piece = ""
    while piece:  # the end repeats an earlier part: join it to the part before it
        piece = tokens[chain.pop()] + piece
        if piece not in tokens:
            tokens.append(piece)
        if (i := tokens.index(piece)) not in chain:
            chain.append(i)
            piece = ""
    numbers = [t for t in tokens[len(letters) + len(words) :] if re.fullmatch("\u0120?[0-9]{4}", t)]
    for t in sorted(numbers, key=len, reverse=True):  # so that a text which is given back is read as it was said
        for i in range(1, len(t)):
            if (pair := f"{t[:i]} {t[i]}") not in merges:
                merges.append(pair)
            if t[: i + 1] not in tokens:
                tokens.append(t[: i + 1])
    return tokens + SPECIAL, merges, chain


def ends(tokens, chain, rng):
    """The embedding and the output matrix."""
    embedding = rng.choice(np.float32([-1, 1]), (len(tokens), DIM))
    output = np.zeros_like(embedding)
    if chain:
        states = [tokens.index(NEWLINE), *chain, len(tokens) - 1]  # a prompt ends with a newline
        for now, then in itertools.pairwise(states):
            output[then] += embedding[now]
    else:  # only whole words and the end token can win
        spoken = [*range(256, 256 + len(WORDS)), len(tokens) - 1]
        output[spoken] = rng.standard_normal((len(spoken), DIM)) / 2
    return embedding, output


def main(path, script=None, ff=FF, seed=0):
    from gguf import GGUFWriter, TokenType

    ff, rng = int(ff), np.random.default_rng(seed)
    tokens, merges, chain = vocabulary(script)
    embedding, output = ends(tokens, chain, rng)
    n = len(tokens)

    g = GGUFWriter(path, "llama")
    g.add_name("toy")
    g.add_context_length(CTX)
    g.add_embedding_length(DIM)
    g.add_block_count(LAYERS)
    g.add_feed_forward_length(ff)
    g.add_head_count(HEADS)
    g.add_head_count_kv(HEADS)
    g.add_layer_norm_rms_eps(1e-5)
    g.add_rope_dimension_count(DIM // HEADS)
    g.add_vocab_size(n)
    g.add_tokenizer_model("gpt2")
    g.add_tokenizer_pre("gpt-2")
    g.add_token_list(tokens)
    g.add_token_types([TokenType.NORMAL] * (n - 3) + [TokenType.CONTROL] * 3)
    g.add_token_merges(merges)
    g.add_bos_token_id(n - 3)
    g.add_eos_token_id(n - 1)
    g.add_add_bos_token(False)
    g.add_chat_template(TEMPLATE)

    def tensor(name, *shape):
        size = 0 if script else 0.2
        g.add_tensor(name, (rng.standard_normal(shape) * size).astype(np.float32))

    g.add_tensor("token_embd.weight", embedding)
    g.add_tensor("output_norm.weight", np.ones(DIM, np.float32))
    g.add_tensor("output.weight", output)
    for i in range(LAYERS):
        b = f"blk.{i}."
        g.add_tensor(b + "attn_norm.weight", np.ones(DIM, np.float32))
        g.add_tensor(b + "ffn_norm.weight", np.ones(DIM, np.float32))
        for part in ("q", "k", "v", "output"):
            tensor(f"{b}attn_{part}.weight", DIM, DIM)
        tensor(b + "ffn_gate.weight", ff, DIM)
        tensor(b + "ffn_up.weight", ff, DIM)
        tensor(b + "ffn_down.weight", DIM, ff)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


if __name__ == "__main__":
    main(*(sys.argv[1:4] or ["toy.gguf"]))
