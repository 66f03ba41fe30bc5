"""The public names and where they are: `__init__.py` reads them here, and type checkers do."""

from ._utils.errors import InputError as InputError
from .data import load_series as load_series
from .data import make_windows as make_windows
from .data.processor import TimeDistillProcessor as TimeDistillProcessor
from .distillation.distill import distill as distill
from .distillation.result import DistillResult as DistillResult
from .forecasting.backtest import backtest as backtest
from .forecasting.fleet import forecast_fleet as forecast_fleet
from .forecasting.forecaster import Forecaster as Forecaster
from .models import ITransformerConfig as ITransformerConfig
from .models import ITransformerForPrediction as ITransformerForPrediction
from .models import LightTSConfig as LightTSConfig
from .models import LightTSForPrediction as LightTSForPrediction
from .models import ModernTCNConfig as ModernTCNConfig
from .models import ModernTCNForPrediction as ModernTCNForPrediction
from .models import TimeMixerConfig as TimeMixerConfig
from .models import TimeMixerForPrediction as TimeMixerForPrediction
from .models import TimesNetConfig as TimesNetConfig
from .models import TimesNetForPrediction as TimesNetForPrediction
from .models.adapters import StudentAdapter as StudentAdapter
from .objective import TimeDistillObjective as TimeDistillObjective
from .signal_store.store import store_signal as store_signal
from .signal_store.table import signal_from_table as signal_from_table
from .signal_store.writing import write_forecasts as write_forecasts
from .student import TimeDistillConfig as TimeDistillConfig
from .student import TimeDistillForPrediction as TimeDistillForPrediction
from .student import fuse as fuse
from .student.pipeline_timedistill import TimeSeriesForecastingPipeline as TimeSeriesForecastingPipeline
from .teachers import Teacher as Teacher
from .teachers import load_teacher as load_teacher
from .teachers.external import CallableTeacher as CallableTeacher
from .training.arguments import ForecastTrainingArguments as ForecastTrainingArguments
from .training.arguments import TimeDistillTrainingArguments as TimeDistillTrainingArguments
from .training.forecast_trainer import ForecastTrainer as ForecastTrainer
from .training.teacher_training import train_teacher as train_teacher
from .training.trainer import TimeDistillTrainer as TimeDistillTrainer

__version__: str
