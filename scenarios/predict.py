#!/usr/bin/env python3
"""Predicts traffic classes with the model.safetensors of a Blindsum run, in NumPy alone.

    predict.py model.safetensors RECORDS    RECORDS: labelled lines, plain or .gz: in the KDD'99 form, or with the
                                            columns that the model was trained on
"""
import gzip
import json
import sys

import numpy as np


class Model:
    """A model file: `tensors` by name, and `meta`, which says how records become inputs."""

    def __init__(self, path):
        with open(path, "rb") as file:
            raw = file.read()
        data = 8 + int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8:data])
        self.meta = header.pop("__metadata__")
        for key in ("classes", "columns", "inputs", "log1p", "ranges", "scale", "mean", "deviation",
                    "clip"):
            self.meta[key] = json.loads(self.meta[key])
        self.tensors = {
            name: np.frombuffer(raw[data + entry["data_offsets"][0]:data + entry["data_offsets"][1]],
                                "<f4").reshape(entry["shape"])
            for name, entry in header.items()}

    def encode(self, records):
        """Records (lists of fields, columns in file order) as a float32 matrix, rows × inputs."""
        meta, inputs = self.meta, self.meta["inputs"]
        table = dict(zip(meta["columns"], zip(*records)))
        x = np.zeros((len(records), len(inputs)), np.float32)
        first_numeric = len(inputs) - len(meta["mean"])
        for i, name in enumerate(inputs[:first_numeric]):
            column, value = name.split("=", 1)
            x[:, i] = np.array(table[column]) == value
        for i, name in enumerate(inputs[first_numeric:]):
            value = np.array(table[name], float)
            if name in meta["log1p"]:
                value = np.sign(value) * np.log1p(np.abs(value))
            if name in meta["ranges"]:
                low, high = meta["ranges"][name]
                value = (np.clip(value, low, high) - low) / (high - low)
            value = np.sign(value) * np.floor(np.abs(value) * meta["scale"] + 0.5) / meta["scale"]  # as the parties' integers
            z = (value - meta["mean"][i]) / meta["deviation"][i]
            x[:, first_numeric + i] = np.clip(z, -meta["clip"], meta["clip"])
        return x

    def predict(self, records):
        """The class of each record, as an index into meta["classes"]."""
        activation = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh, "square": np.square,
                      "sigmoid": lambda v: 1 / (1 + np.exp(-v))}[self.meta["activation"]]
        x = self.encode(records)
        layers = len(self.tensors) // 2
        for layer in range(layers):
            x = x @ self.tensors[f"layer{layer}.weight"] + self.tensors[f"layer{layer}.bias"]
            if layer + 1 < layers:
                x = activation(x)
        return x.argmax(axis=1)


def read_records(path, meta=None):
    """Records with their columns in the model's order (KDD'99's without `meta`), the label behind them."""
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    with (gzip.open if is_gzip else open)(path, "rt", encoding="utf-8-sig") as file:
        records = [[field.strip(" \t") for field in line.rstrip("\r\n").split(",")] for line in file]
    if meta is None:
        return records
    columns = meta["columns"]
    if records and records[0][:len(columns)] == columns and meta["encoding"] == "onehot122":
        return records[1:]
    if meta["encoding"] != "onehot122" and records and set(columns) < set(records[0]):
        places = [records[0].index(name) for name in (*columns, meta["label"])]
        return [[record[place] for place in places] for record in records[1:]]
    return records


def main(model_path, records_path):
    model = Model(model_path)
    records = read_records(records_path, model.meta)
    place = len(model.meta["columns"])  # in NSL-KDD a difficulty follows
    is_kdd = model.meta["encoding"] == "onehot122"
    labels = [record[place].rstrip(".") if is_kdd else record[place] for record in records]
    predicted = model.predict(records)
    classes = model.meta["classes"]
    print(f"{len(records)} records")
    for attack in sorted(set(labels)):
        rows = predicted[[label == attack for label in labels]]
        counts = np.bincount(rows, minlength=len(classes))
        print(f"{attack:16}", "  ".join(f"{name} {n}" for name, n in zip(classes, counts) if n))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
