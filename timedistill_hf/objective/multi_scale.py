"""Multi-scale distillation: match the teacher on the series and on its coarser and coarser averages."""

import torch


def scales_that_fit(length: int) -> int:
    """M where none is given: 3 as published, less where the axis is shorter than 8."""
    return min(3, length.bit_length() - 1)


def multi_scale_loss(
    student: torch.Tensor, teacher: torch.Tensor, num_scales: int | None = None, dim: int = -1, kind: str = "mse"
) -> torch.Tensor:
    r"""Mean over m = 0..M of MSE(P_m student, P_m teacher), with P_m an m-fold average pooling by two along `dim`.

    L_scale of TimeDistill (arXiv 2502.15016, section 4.1). The paper writes a strided convolution, the published
    implementation pools, and so does this. Where a length is odd its last step is dropped. Computed in float32.

    Args:
        student: any shape; gradients flow into it.
        teacher: the same shape.
        num_scales: M; 0 leaves the plain error, `None` is [`scales_that_fit`].
        dim: the axis of time (predictions) or of the hidden units (features).
        kind: `"mse"`, or `"mae"` for mean absolute errors.

    Raises:
        ValueError: the shapes differ, or the axis is shorter than 2**M.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"student has shape {tuple(student.shape)}, teacher {tuple(teacher.shape)}: expected the same"
        )
    length = student.shape[dim]
    if num_scales is None:
        num_scales = scales_that_fit(length)
    if num_scales < 0:
        raise ValueError(f"num_scales={num_scales}: expected 0 or more")
    if length < 2**num_scales:
        raise ValueError(
            f"num_scales={num_scales} halves the axis {num_scales} times and needs at least {2**num_scales} steps, "
            f"got {length}: lower num_scales to {max(length.bit_length() - 1, 0)} or less"
        )
    # pooling is linear: the pyramid of the difference is the difference of the pyramids, at half the work
    difference = (student.float() - teacher.float()).movedim(dim, -1)
    size = torch.abs if kind == "mae" else torch.square
    loss = size(difference).mean()
    for _ in range(num_scales):
        even = difference.shape[-1] // 2 * 2
        # slices take half the time of avg_pool1d, forward and backward
        difference = (difference[..., 0:even:2] + difference[..., 1:even:2]) / 2
        loss = loss + size(difference).mean()
    return loss / (num_scales + 1)
