"""The verb ``pointsman modal``, which ``pointsman-cli`` runs. It needs click: the extra ``cli`` brings it."""
