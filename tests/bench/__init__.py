"""``make bench``: the lab's figures beside other programs', and the targets it must hold."""
