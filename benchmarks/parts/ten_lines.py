"""What somebody would write by hand to print one streamed answer."""

import json, os, sys, httpx2  # noqa: E401, I001

body = {"model": "firehose-1", "stream": True, "messages": [{"role": "user", "content": "Say something."}]}
headers = {"authorization": f"Bearer {os.environ['POINTSMAN_OPENAI_COMPATIBLE_API_KEY']}"}
with httpx2.stream("POST", f"{sys.argv[1]}/chat/completions", json=body, headers=headers) as response:
    for line in response.iter_lines():
        if line.startswith("data: ") and line != "data: [DONE]":
            choices = json.loads(line[6:])["choices"]
            print(choices[0]["delta"].get("content") or "" if choices else "", end="", flush=True)
