"""How well the name of each photograph fits it: judged by classifiers that never saw the photograph."""
