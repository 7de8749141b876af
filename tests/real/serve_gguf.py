"""llama.cpp's own server, in a process of its own: ``python serve_gguf.py MODEL PORT [KEY]`` prints its address."""

import sys
import time

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], int(sys.argv[2])
params.model_alias = {"toy"}
params.api_keys = sys.argv[3:]
params.n_ctx, params.n_parallel = 4096, 2  # Two slots of 2,048 tokens.
params.cpuparams.n_threads = 1
params.fit_params = False
params.endpoint_slots = True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
time.sleep(600)
