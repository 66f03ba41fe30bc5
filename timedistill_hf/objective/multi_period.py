"""Multi-period distillation: match how the teacher spreads its energy over frequencies."""

import math

import torch


KL_REDUCTIONS = ("element", "distribution")


def check_floor(floor: float) -> None:
    """Raise a `ValueError` where that cannot be added to a probability."""
    if not 0 <= floor < 1:
        raise ValueError(f"kl_floor={floor}: expected a number from 0 to below 1, such as 1e-8")


def period_log_distribution(values: torch.Tensor, temperature: float = 0.5, dim: int = -1) -> torch.Tensor:
    r"""Log of Q = softmax(|rFFT(values)| / tau) over frequency, the constant (DC) bin left out; frequency comes last.

    Args:
        values: any shape, at least two steps along `dim`.
        temperature: tau; a small one sharpens the distribution towards the strongest period.
        dim: the axis to transform.

    Returns:
        `[..., floor(n / 2)]` in float32, n the length of `dim`. The rFFT is not normalised; an even length keeps the
        Nyquist bin.
    """
    if values.shape[dim] < 2:
        raise ValueError(f"a period needs at least 2 steps, got {values.shape[dim]}")
    spectrum = torch.fft.rfft(values.float().movedim(dim, -1), dim=-1)[..., 1:]
    return torch.log_softmax(spectrum.abs() / temperature, dim=-1)


def multi_period_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    temperature: float = 0.5,
    reduction: str = "element",
    dim: int = -1,
    floor: float = 0.0,
) -> torch.Tensor:
    r"""KL(Q_teacher || Q_student) between the period distributions along `dim`, in float32.

    L_period of TimeDistill (arXiv 2502.15016, section 4.2), from the log-softmax of both sides, so that distributions
    that underflow neither turn to NaN nor lose their gradient.

    Args:
        student: any shape; gradients flow into it (and into `teacher`, where it depends on a regressor).
        teacher: the same shape.
        reduction: `"element"` divides by all elements, as the published implementation does; `"distribution"` divides
            by the number of distributions, which is larger by the number of frequencies.
        floor: added to Q_student before its logarithm, which bounds what one frequency can cost. The published
            implementation has 1e-8; with 0 it is the divergence itself.

    Raises:
        ValueError: the shapes differ, the reduction is neither of the two, or the floor is negative.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"student has shape {tuple(student.shape)}, teacher {tuple(teacher.shape)}: expected the same"
        )
    if reduction not in KL_REDUCTIONS:
        raise ValueError(f"reduction={reduction!r}: expected one of {KL_REDUCTIONS}")
    check_floor(floor)
    student_log = period_log_distribution(student, temperature, dim)
    if floor:
        student_log = student_log.logaddexp(student_log.new_tensor(math.log(floor)))
    teacher_log = period_log_distribution(teacher, temperature, dim)
    divergence = teacher_log.exp() * (teacher_log - student_log)
    if reduction == "element":
        return divergence.mean()
    return divergence.sum(dim=-1).mean()
