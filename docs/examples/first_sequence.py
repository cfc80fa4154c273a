"""Loads a dataset that `make demo` has built, and shows the first sequence that has padding."""

import seq_assets

dataset = seq_assets.load("dkt", sequence_length=50, subset="train")
columns = dataset.to_numpy()
padded = int((columns["sequence_size"] < dataset.sequence_length).argmax())

print(f"\n{dataset.model}, {dataset.subset}: {len(dataset)} sequences of {dataset.sequence_length}, version {dataset.version}")
print(f"Pupil {columns['pupilid'][padded]}, sequence {columns['sequence_index'][padded]}:")
for name, values in columns.items():
    if values.ndim > 1:
        print(f"  {name:<17}", *values[padded][:12], "…", *values[padded][-4:])
