"""Fine-tuning: an encoder and a head learn a task from labelled examples, on the one loop.

- `settings`   what may be chosen
- `lessons`    what every task has in common: rows, a head, a loss, predictions
- `classes`, `tags`, `answers`   the tasks
- `chains`     the linear-chain CRF that learns
- `mixing`     which examples a step has
- `growth`     which parameters learn, and how fast; `adapters`: LoRA
- `keeping`    which weights of a run are kept: the last, the best, the mean
- `runs`       all of it: from files to a folder that is served
"""
