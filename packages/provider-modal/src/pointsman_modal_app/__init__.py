"""The app that `pointsman modal deploy` puts on Modal: Ollama on a GPU, its weights in a Volume.

It stands alone, on the standard library and `modal`, since it runs in Modal's containers, where Pointsman is not.
"""
