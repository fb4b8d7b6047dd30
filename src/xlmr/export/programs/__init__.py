"""Programs that answer with an exported model as its users would, and know nothing of xlmr: `MODEL QUESTIONS.npz ANSWERS.npz TASK…`.

QUESTIONS holds `ids.N` and `mask.N`, int64 `[batch, sequence]`; ANSWERS is given `TASK.NAME.N` for each output.
"""
