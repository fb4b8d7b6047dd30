"""Programs that answer with an exported model as its users would, and know nothing of xlmr: each `FOLDER QUESTIONS.npz ANSWERS.npz`.

QUESTIONS holds `ids.N` and `mask.N`, int64 `[batch, sequence]`; ANSWERS is given `NAME.N` for each output.
"""
