"""Where latents lie, how large errors are, and which latents explain a row."""
