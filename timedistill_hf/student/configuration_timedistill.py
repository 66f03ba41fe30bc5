"""Configuration of the TimeDistill student."""

from dataclasses import fields
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig


MLP_ARCHITECTURES = ("two_branch", "mlp")
PERIODIC_ARCHITECTURES = ("periodic", "cycle")
MAX = {
    "context_length": 100_000, "prediction_length": 100_000, "hidden_size": 100_000, "patch_length": 100_000,
    "period": 100_000, "moving_average": 100_001, "num_hidden_layers": 256, "num_input_channels": 1_000_000,
}  # fmt: skip
"""Far beyond every student: a configuration of someone else's is refused before memory is taken for it."""
MAX_MEMBERS = 256
MAX_WEIGHTS = 2**26  # of one linear map
SHARED_FIELDS = {"context_length", "prediction_length", "num_input_channels", "members"}


@strict
class TimeDistillConfig(PreTrainedConfig):
    r"""Configuration of [`TimeDistillForPrediction`], the small model that serves the forecasts.

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps.
        num_input_channels (`int`, *optional*): channels C. `None` means any number, which only a form without
            per-channel parameters can have: `hidden_norm` other than `"batchnorm"`, no RevIN affine.
        architecture (`str`): `"two_branch"`, the paper's MLP on seasonal and trend part (arXiv 2502.15016, section 4);
            `"mlp"`, the same with one branch and no decomposition; `"linear"`, one linear map L -> S; `"periodic"`,
            one map from past to future periods shared by all phases (SparseTSF, arXiv 2405.00946); `"cycle"`, the
            window's mean cycle continued and one linear map of what remains (CycleNet, arXiv 2409.18479);
            `"patch_mixer"`, an MLP over patches (TSMixer, arXiv 2306.09364); `"residual"`, one linear map plus a
            `core`; `"combination"`, a weighted sum of `members`.
        hidden_size (`int`): width D of the hidden layer, which is also the size of the distilled feature; of a patch
            mixer, the width of each patch, and its feature is that of all patches.
        moving_average (`int`): odd kernel of the moving average that extracts the trend (`"two_branch"` only).
        normalization (`str`): what is removed from each window: `"mean"`, `"revin"` (mean and standard deviation),
            `"last"` (the last value) or `"none"`. A combination itself removes nothing, its members do.
        revin_affine (`bool`): with `"revin"`, learn a scale and a shift per channel (arXiv of RevIN: Kim et al. 2022).
        hidden_norm (`str`): normalisation of the hidden layer: `"batchnorm"` with the channels as its features (the
            published form, bound to its channel count), `"layernorm"` over D, or `"none"`.
        dropout (`float`): share of the hidden layer that is dropped in training, from 0 to below 1.
        input_noise (`float`): in training, deviation of the noise on the normalised window, as a share of the window's
            own deviation; its square is the weight of a ridge penalty, relative to the mean variance of a step.
        core (`str`): what corrects the linear map of `"residual"`: `"mlp"` or `"patch_mixer"`.
        patch_length (`int`): time steps of a patch, at most `context_length`; the oldest steps that fill no patch are
            not read.
        num_hidden_layers (`int`): layers of a patch mixer.
        period (`int`): time steps of one period (`"periodic"` and `"cycle"`), at most `context_length`.
        members (`list[dict]`, *optional*): the forms that a `"combination"` adds up. Each holds its `architecture` and
            whatever else of this configuration it changes: `{"architecture": "residual", "normalization": "last"}`.
            They share the lengths and the channels. Their weights are in the state dict.
        loss (`str`): loss that `forward` returns when it is given `future_values`: `"mse"` or `"mae"`.
        frequency_weight (`float`): share of that error which is taken between the spectra, from 0 to 1 (FreDF, arXiv
            2402.02399).
    """

    model_type = "timedistill"
    keys_to_ignore_at_inference = ["loc", "scale", "feature"]
    has_registered_pipeline = False

    context_length: int = 720
    prediction_length: int = 96
    num_input_channels: int | None = 1
    architecture: Literal[
        "two_branch", "mlp", "patch_mixer", "linear", "periodic", "cycle", "residual", "combination"
    ] = "two_branch"
    hidden_size: int = 512
    moving_average: int = 25
    normalization: Literal["none", "mean", "revin", "last"] = "mean"
    revin_affine: bool = True
    hidden_norm: Literal["batchnorm", "layernorm", "none"] = "batchnorm"
    dropout: float | int = 0.0
    input_noise: float | int = 0.0
    core: Literal["mlp", "patch_mixer"] = "mlp"
    patch_length: int = 48
    num_hidden_layers: int = 2
    period: int = 24
    members: list[dict] | None = None
    loss: Literal["mse", "mae"] = "mse"
    frequency_weight: float | int = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        if self.has_registered_pipeline:
            # the package serves the pipeline itself: the code saved with the weights need not be trusted
            kwargs.pop("custom_pipelines", None)
        # models that 0.1.0 saved hold it, members too; nothing reads it any more
        kwargs.pop("horizon_weighting", None)
        if self.members:
            self.members = [_without(member, "horizon_weighting") for member in self.members]
        super().__post_init__(**kwargs)

    @property
    def is_channel_bound(self) -> bool:
        """Whether some parameter belongs to one channel, so that the channel count cannot change."""
        return any(
            (self._of(form, "normalization") == "revin" and self._of(form, "revin_affine"))
            or (self._core(form) in MLP_ARCHITECTURES and self._of(form, "hidden_norm") == "batchnorm")
            for form in self._forms
        )

    @property
    def feature_size(self) -> int | None:
        """Size of the model's feature: D, summed over the members of a combination; `None` without hidden layer."""
        sizes = [self._feature_size(form) for form in self._forms]
        return sum(sizes) or None

    def as_member(self) -> dict:
        """This form as one of the `members` of a combination.

        Raises:
            ValueError: it is a combination.
        """
        if self.architecture == "combination":
            raise ValueError("a combination cannot be a member of another: give its members")
        return {name: value for name, value in self._own_fields().items() if name not in SHARED_FIELDS}

    def member_configs(self) -> list["TimeDistillConfig"]:
        """One full configuration for each member of a combination: that of a student of the same form.

        Raises:
            ValueError: a member has no form of its own, changes what all share, or its configuration is not valid.
        """
        return [self._member_config(index) for index in range(len(self.members))]

    def check_window(self, shape: tuple[int, ...]) -> None:
        """Raise a `ValueError` where `past_values` of this shape are no `[B, L, C]` for such a model."""
        if len(shape) != 3 or shape[1] != self.context_length:
            raise ValueError(
                f"past_values has shape {tuple(shape)}: expected [batch, {self.context_length}, channels]; "
                "cut or pad the history to the model's context_length"
            )
        if self.is_channel_bound and shape[2] != self.num_input_channels:
            raise ValueError(
                f"past_values has {shape[2]} channels, this student was built for {self.num_input_channels}; for any "
                "number of channels train one with hidden_norm='layernorm' (and revin_affine=False)"
            )

    def validate_architecture(self) -> None:
        for name in (
            "context_length", "prediction_length", "hidden_size", "patch_length", "num_hidden_layers", "period"
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        for name, most in MAX.items():
            if (getattr(self, name) or 0) > most:
                raise ValueError(f"{name}={getattr(self, name)}: expected at most {most}")
        if self.moving_average < 1 or self.moving_average % 2 == 0:
            raise ValueError(f"moving_average={self.moving_average}: expected an odd positive number, such as 25")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: expected a share from 0 to below 1")
        if not 0 <= self.input_noise < float("inf"):
            raise ValueError(f"input_noise={self.input_noise}: expected a number from 0")
        if not 0 <= self.frequency_weight <= 1:
            raise ValueError(f"frequency_weight={self.frequency_weight}: expected a share from 0 to 1")
        if self.architecture in PERIODIC_ARCHITECTURES and self.period > self.context_length:
            raise ValueError(
                f"period={self.period}: expected at most the {self.context_length} steps of context_length; "
                f"{self.architecture!r} needs a whole period in the window"
            )
        if self._core({}) == "patch_mixer" and self.patch_length > self.context_length:
            raise ValueError(
                f"patch_length={self.patch_length}: expected at most the {self.context_length} steps of context_length"
            )
        self._check_members()
        self._check_size()
        if self.num_input_channels is None and self.is_channel_bound:
            raise ValueError(
                "num_input_channels=None: batch normalisation and the RevIN affine need a fixed number of channels; "
                "set it, or choose hidden_norm='layernorm' (and revin_affine=False)"
            )
        if self.num_input_channels is not None and self.num_input_channels < 1:
            raise ValueError(f"num_input_channels={self.num_input_channels}: expected a positive number or None")

    def _check_members(self) -> None:
        if self.architecture != "combination":
            if self.members is not None:
                raise ValueError(f"members go with architecture='combination', not with {self.architecture!r}")
        elif not self.members:
            raise ValueError(
                f"members={self.members}: architecture='combination' needs one or more, such as "
                "[{'architecture': 'linear'}, {'architecture': 'residual'}]"
            )
        elif len(self.members) > MAX_MEMBERS:
            raise ValueError(f"{len(self.members)} members: expected at most {MAX_MEMBERS}")
        else:
            self.member_configs()

    def _check_size(self) -> None:
        """Raise where layers or a linear map are far larger than any student's, though each length alone is not."""
        mixers = [form for form in self._forms if self._core(form) == "patch_mixer"]
        layers = sum(self._of(form, "num_hidden_layers") for form in mixers)
        if layers > MAX["num_hidden_layers"]:
            raise ValueError(f"the members have {layers} layers: expected at most {MAX['num_hidden_layers']}")
        widths = [max(self._of(form, "hidden_size"), self._feature_size(form)) for form in self._forms]
        inner = max(self.prediction_length, *widths)
        if max(self.context_length, inner) * inner > MAX_WEIGHTS:
            raise ValueError(
                f"context_length={self.context_length}, prediction_length={self.prediction_length} and a width of "
                f"{max(widths)} make a map of more than {MAX_WEIGHTS:,} weights: expected less"
            )

    @property
    def _forms(self) -> list[dict]:
        """What each member changes; of a single form, nothing."""
        return [{}] if self.members is None else self.members

    def _of(self, form: dict, name: str) -> Any:
        return form.get(name, getattr(self, name))

    def _core(self, form: dict) -> str:
        """The form's hidden part: a residual form's core; other forms are it themselves."""
        architecture = self._of(form, "architecture")
        return self._of(form, "core") if architecture == "residual" else architecture

    def _feature_size(self, form: dict) -> int:
        """0 for a form without hidden layer."""
        core, width = self._core(form), self._of(form, "hidden_size")
        if core == "patch_mixer":
            return width * (self.context_length // self._of(form, "patch_length"))
        return width if core in MLP_ARCHITECTURES else 0

    def _own_fields(self) -> dict:
        inherited = {field.name for field in fields(PreTrainedConfig)}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in inherited}

    def _member_config(self, index: int) -> "TimeDistillConfig":
        member, own = self.members[index], self._own_fields()
        if member.get("architecture", "combination") == "combination":
            raise ValueError(f"members[{index}]={member}: expected an 'architecture', other than 'combination'")
        for name in member:
            if name in SHARED_FIELDS:
                raise ValueError(f"members[{index}] sets {name!r}, which belongs to the combination; leave it out")
            if name not in own:
                allowed = ", ".join(sorted(own.keys() - SHARED_FIELDS))
                raise ValueError(f"members[{index}] has no field {name!r}: it may set {allowed}")
        try:
            return TimeDistillConfig(**own | {"members": None} | member)
        except StrictDataclassError as error:
            raise ValueError(f"members[{index}]: {error.__cause__}") from error


def _without(member: dict, name: str) -> dict:
    return {key: value for key, value in member.items() if key != name} if isinstance(member, dict) else member


__all__ = ["TimeDistillConfig"]
