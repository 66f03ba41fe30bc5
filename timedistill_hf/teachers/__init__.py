"""Teachers: whatever forecasts, behind one interface ([`FrozenTeacher`], which gives a [`TeacherSignal`] for a batch).

A family is one file in `families/` and one line of `FAMILIES`.
"""

from .family import TeacherFamily
from .frozen import FrozenTeacher
from .loading import FAMILIES, get_family, load_teacher, teacher_family_name, trainable_families
from .signal import TeacherSignal
from .teacher import Teacher


__all__ = [
    "FAMILIES",
    "FrozenTeacher",
    "Teacher",
    "TeacherFamily",
    "TeacherSignal",
    "get_family",
    "load_teacher",
    "teacher_family_name",
    "trainable_families",
]
