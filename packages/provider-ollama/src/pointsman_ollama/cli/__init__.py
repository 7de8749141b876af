"""The verb ``pointsman ollama``, which ``pointsman-cli`` runs. It needs click: the extra ``cli`` brings it."""
