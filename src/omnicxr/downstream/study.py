"""A downstream study: train every classifier of the specification, test it on real studies, work out what synthetic
data is worth.

Each finished classifier leaves its test scores in OUT/cells: the same command goes on after an interruption, and
figures can be worked out again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

import omnicxr
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import check_writable, claim, output_folder, whole_file
from omnicxr.domain import Finding, Modality, UserError
from omnicxr.downstream.classifier import TrainingSet, make_network, scores_of, train_classifier
from omnicxr.downstream.leaks import check_prompts
from omnicxr.downstream.results import CellResult, Results
from omnicxr.downstream.spec import BOTH, FILLED, PRETRAINED, SYNTHETIC, Cell, StudySpec, spec_hash
from omnicxr.evaluation.measures import metrics
from omnicxr.models.component import save_tensors

Progress = Callable[[int, int, str], None]
RECORD = "study.json"


class DownstreamStudy:
    """The data, and what each cell is trained on. Raises UserError for data sets that do not go together."""

    def __init__(
        self,
        spec: StudySpec,
        real: Path,
        synthetic: Path,
        *,
        out: Path,
        device: str = "cpu",
        mixed_precision: bool = False,
    ) -> None:
        self.spec, self.out, self.device, self.mixed_precision = spec, out, device, mixed_precision
        self.real = {split: PreparedDataset(real, split) for split in ("train", "validate", "test")}
        self.synthetic = PreparedDataset(synthetic, "train")
        if not self.synthetic.manifest.synthetic:
            raise UserError(
                f"{synthetic} is not a finished synthetic data set: give the folder that `omnicxr synthesize` wrote."
            )
        if self.synthetic.image_size != (size := self.real["train"].image_size):
            raise UserError(
                f"Real pictures have {size} px, synthetic ones {self.synthetic.image_size}: prepare the real ones in"
                " that size."
            )
        for view in spec.views:
            for data in (*self.real.values(), self.synthetic):
                if not len(data.having(view)):
                    raise UserError(
                        f"{data.root} has no {view} views in the split '{data.split}': leave that view out."
                    )
        check_prompts(self.synthetic, self.real)
        self._check_findings()
        make_network(spec.classifier)  # before any work is done
        check_writable(out)
        self._claim()

    def _check_findings(self) -> None:
        for finding in self.spec.imbalance.findings:
            most = max(self.spec.imbalance.keep)
            for data in (self.real["train"], self.synthetic):
                count = int((data.labels[:, _index(finding)] == 1).sum())
                if count <= most:
                    raise UserError(
                        f"{data.root} has {count} training studies with {finding}: more than {most} are needed to cut"
                        f" it to {most}."
                    )

    def _claim(self) -> None:
        settings = {
            "version": omnicxr.__version__,
            "spec": spec_hash(self.spec),
            "real": self.real["test"].manifest_hash,
            "synthetic": self.synthetic.manifest_hash,
            "mixed_precision": self.mixed_precision,
            "settings": asdict(self.spec),
        }
        claim(self.out / RECORD, settings, what="a study")

    def run(self, progress: Progress | None = None) -> None:
        """Train what is not there yet. Raises UserError where another command writes to the same folder."""
        cells = list(self.spec.cells())
        with output_folder(self.out, results=("cells/*.npz",)):
            for done, cell in enumerate(cells):
                if progress:
                    progress(done, len(cells), cell.name)
                if not self.path(cell).exists():
                    self._run(cell)
        if progress:
            progress(len(cells), len(cells), "done")

    def path(self, cell: Cell) -> Path:
        """Where the scores of a cell are kept."""
        return self.out / "cells" / f"{cell.name}.npz"

    def training_set(self, cell: Cell) -> TrainingSet:
        """The studies that a cell learns from last (those of its pretraining are all synthetic ones)."""
        synthetic = (self.synthetic, self.synthetic.having(cell.view))
        real = (self.real["train"], self._real_rows(cell))
        if cell.regime == SYNTHETIC:
            return TrainingSet((synthetic,))
        if cell.regime == BOTH:
            return TrainingSet((real, synthetic))
        if cell.regime == FILLED:
            return TrainingSet((real, (self.synthetic, self._filling(cell))), together=True)
        return TrainingSet((real,))

    def _real_rows(self, cell: Cell) -> np.ndarray:
        """Of the share of patients, in an order that the seed draws; of a rare finding only `keep` positive studies."""
        data = self.real["train"]
        patients = data.patients
        rng = np.random.default_rng([cell.seed, 17])
        order = rng.permutation(np.unique(patients))
        share = set(order[: max(1, round(cell.share * len(order)))].tolist())
        rows = np.array([i for i in data.having(cell.view) if patients[i] in share])
        if cell.finding is None:
            return rows
        positive = data.labels[rows, _index(cell.finding)] == 1
        return np.sort(np.concatenate([rows[~positive], rng.permutation(rows[positive])[: cell.keep]]))

    def _filling(self, cell: Cell) -> np.ndarray:
        """As many synthetic studies with the finding as real ones were taken away, or all there are."""
        assert cell.finding is not None and cell.keep is not None
        column = _index(cell.finding)
        data = self.real["train"]
        gone = int((data.labels[data.having(cell.view), column] == 1).sum()) - cell.keep
        rows = self.synthetic.having(cell.view)
        positive = rows[self.synthetic.labels[rows, column] == 1]
        return np.random.default_rng([cell.seed, 19]).permutation(positive)[:gone]

    def _run(self, cell: Cell) -> None:
        network, training = self._network(cell), self.training_set(cell)
        spec = self.spec.classifier
        pretrained = cell.regime == PRETRAINED
        steps, peak = (spec.finetune_steps, spec.learning_rate / 3) if pretrained else (spec.steps, spec.learning_rate)
        loss = train_classifier(
            network,
            training,
            spec,
            view=cell.view,
            steps=steps,
            peak=peak,
            uncertain=self.spec.uncertain,
            seed=cell.seed,
            device=self.device,
            mixed_precision=self.mixed_precision,
        )
        if cell.regime == SYNTHETIC and PRETRAINED in self.spec.regimes:
            self._save_weights(network, cell)
        thresholds = metrics.best_thresholds(*self._scores(network, "validate", cell.view))
        _, scores = self._scores(network, "test", cell.view)
        with whole_file(self.path(cell)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, scores=scores, thresholds=thresholds, studies=np.array(len(training)), loss=np.array(loss)
            )

    def _scores(self, network: nn.Module, split: str, view: Modality) -> tuple[np.ndarray, np.ndarray]:
        """Of the real studies with the view: positive labels and scores, both [n, 14]."""
        data = self.real[split]
        rows = data.having(view)
        return data.labels[rows] == 1, scores_of(network, data, rows, view=view, device=self.device)

    def _network(self, cell: Cell) -> nn.Module:
        torch.manual_seed(cell.seed)
        network = make_network(self.spec.classifier)
        if cell.regime == PRETRAINED:
            first = Cell(view=cell.view, seed=cell.seed, regime=SYNTHETIC)
            network.load_state_dict(load_file(self._weights_path(first)))
        return network

    def _weights_path(self, cell: Cell) -> Path:
        return self.out / "cells" / f"{cell.name}.safetensors"

    def _save_weights(self, network: nn.Module, cell: Cell) -> None:
        with whole_file(self._weights_path(cell)) as temporary:
            save_tensors(network.state_dict(), temporary)

    def results(self, view: Modality) -> Results:
        """The scores of every finished cell of a view."""
        test = self.real["test"]
        rows = test.having(view)
        patients = test.patients[rows]
        cells = {}
        for cell in self.spec.cells():
            if cell.view is view:
                with np.load(self.path(cell)) as file:
                    scores = file["scores"]
                    cells[cell] = CellResult(scores, scores > file["thresholds"], int(file["studies"]))
        return Results(test.labels[rows] == 1, patients, cells)


def _index(finding: Finding) -> int:
    return list(Finding).index(finding)
