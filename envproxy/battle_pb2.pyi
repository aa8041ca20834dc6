from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PhaseKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_KIND_UNSPECIFIED: _ClassVar[PhaseKind]
    PHASE_KIND_COLLECT: _ClassVar[PhaseKind]
    PHASE_KIND_EVALUATE: _ClassVar[PhaseKind]
PHASE_KIND_UNSPECIFIED: PhaseKind
PHASE_KIND_COLLECT: PhaseKind
PHASE_KIND_EVALUATE: PhaseKind

class DescribeRequest(_message.Message):
    __slots__ = ("arena",)
    ARENA_FIELD_NUMBER: _ClassVar[int]
    arena: str
    def __init__(self, arena: _Optional[str] = ...) -> None: ...

class ArenaDescription(_message.Message):
    __slots__ = ("arena", "map", "backend", "version", "battles", "n_agents", "n_actions", "obs_size", "state_size", "episode_limit", "round", "steps", "rules", "provenance", "simulator", "unit_types", "protocol")
    class ProvenanceEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ARENA_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    N_AGENTS_FIELD_NUMBER: _ClassVar[int]
    N_ACTIONS_FIELD_NUMBER: _ClassVar[int]
    OBS_SIZE_FIELD_NUMBER: _ClassVar[int]
    STATE_SIZE_FIELD_NUMBER: _ClassVar[int]
    EPISODE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    SIMULATOR_FIELD_NUMBER: _ClassVar[int]
    UNIT_TYPES_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    arena: str
    map: str
    backend: str
    version: str
    battles: int
    n_agents: int
    n_actions: int
    obs_size: int
    state_size: int
    episode_limit: int
    round: int
    steps: int
    rules: str
    provenance: _containers.ScalarMap[str, str]
    simulator: int
    unit_types: _containers.RepeatedScalarFieldContainer[str]
    protocol: int
    def __init__(self, arena: _Optional[str] = ..., map: _Optional[str] = ..., backend: _Optional[str] = ..., version: _Optional[str] = ..., battles: _Optional[int] = ..., n_agents: _Optional[int] = ..., n_actions: _Optional[int] = ..., obs_size: _Optional[int] = ..., state_size: _Optional[int] = ..., episode_limit: _Optional[int] = ..., round: _Optional[int] = ..., steps: _Optional[int] = ..., rules: _Optional[str] = ..., provenance: _Optional[_Mapping[str, str]] = ..., simulator: _Optional[int] = ..., unit_types: _Optional[_Iterable[str]] = ..., protocol: _Optional[int] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("index", "battles", "steps", "evaluations")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    index: int
    battles: int
    steps: int
    evaluations: int
    def __init__(self, index: _Optional[int] = ..., battles: _Optional[int] = ..., steps: _Optional[int] = ..., evaluations: _Optional[int] = ...) -> None: ...

class Phase(_message.Message):
    __slots__ = ("seed", "round", "kind", "battles", "steps", "standing", "mixing", "rewards", "seats", "order")
    SEED_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    MIXING_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    seed: int
    round: int
    kind: PhaseKind
    battles: int
    steps: int
    standing: Standing
    mixing: MixOrder
    rewards: RewardOrder
    seats: _containers.RepeatedScalarFieldContainer[int]
    order: int
    def __init__(self, seed: _Optional[int] = ..., round: _Optional[int] = ..., kind: _Optional[_Union[PhaseKind, str]] = ..., battles: _Optional[int] = ..., steps: _Optional[int] = ..., standing: _Optional[_Union[Standing, _Mapping]] = ..., mixing: _Optional[_Union[MixOrder, _Mapping]] = ..., rewards: _Optional[_Union[RewardOrder, _Mapping]] = ..., seats: _Optional[_Iterable[int]] = ..., order: _Optional[int] = ...) -> None: ...

class RewardOrder(_message.Message):
    __slots__ = ("run", "size", "credit")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    run: str
    size: int
    credit: str
    def __init__(self, run: _Optional[str] = ..., size: _Optional[int] = ..., credit: _Optional[str] = ...) -> None: ...

class MixOrder(_message.Message):
    __slots__ = ("run", "base", "batch_size", "buffer_size", "train_per_battle", "learning_rate", "gamma", "target_update_every", "grad_clip", "td_lambda")
    RUN_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    BUFFER_SIZE_FIELD_NUMBER: _ClassVar[int]
    TRAIN_PER_BATTLE_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    TARGET_UPDATE_EVERY_FIELD_NUMBER: _ClassVar[int]
    GRAD_CLIP_FIELD_NUMBER: _ClassVar[int]
    TD_LAMBDA_FIELD_NUMBER: _ClassVar[int]
    run: str
    base: str
    batch_size: int
    buffer_size: int
    train_per_battle: float
    learning_rate: float
    gamma: float
    target_update_every: int
    grad_clip: float
    td_lambda: float
    def __init__(self, run: _Optional[str] = ..., base: _Optional[str] = ..., batch_size: _Optional[int] = ..., buffer_size: _Optional[int] = ..., train_per_battle: _Optional[float] = ..., learning_rate: _Optional[float] = ..., gamma: _Optional[float] = ..., target_update_every: _Optional[int] = ..., grad_clip: _Optional[float] = ..., td_lambda: _Optional[float] = ...) -> None: ...

class SeatMessage(_message.Message):
    __slots__ = ("join", "propose", "act", "mix_utilities", "mix_holdings", "mix_norm")
    JOIN_FIELD_NUMBER: _ClassVar[int]
    PROPOSE_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    MIX_UTILITIES_FIELD_NUMBER: _ClassVar[int]
    MIX_HOLDINGS_FIELD_NUMBER: _ClassVar[int]
    MIX_NORM_FIELD_NUMBER: _ClassVar[int]
    join: Join
    propose: Propose
    act: Act
    mix_utilities: MixUtilities
    mix_holdings: MixHoldings
    mix_norm: MixNorm
    def __init__(self, join: _Optional[_Union[Join, _Mapping]] = ..., propose: _Optional[_Union[Propose, _Mapping]] = ..., act: _Optional[_Union[Act, _Mapping]] = ..., mix_utilities: _Optional[_Union[MixUtilities, _Mapping]] = ..., mix_holdings: _Optional[_Union[MixHoldings, _Mapping]] = ..., mix_norm: _Optional[_Union[MixNorm, _Mapping]] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("phase",)
    PHASE_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    def __init__(self, phase: _Optional[_Union[Phase, _Mapping]] = ...) -> None: ...

class Propose(_message.Message):
    __slots__ = ("phase",)
    PHASE_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    def __init__(self, phase: _Optional[_Union[Phase, _Mapping]] = ...) -> None: ...

class Act(_message.Message):
    __slots__ = ("tick", "actions")
    TICK_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    tick: int
    actions: bytes
    def __init__(self, tick: _Optional[int] = ..., actions: _Optional[bytes] = ...) -> None: ...

class ArenaMessage(_message.Message):
    __slots__ = ("seated", "tick", "phase_end", "mix_batch", "mix_gradient", "mix_scale", "mix_abandoned")
    SEATED_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    PHASE_END_FIELD_NUMBER: _ClassVar[int]
    MIX_BATCH_FIELD_NUMBER: _ClassVar[int]
    MIX_GRADIENT_FIELD_NUMBER: _ClassVar[int]
    MIX_SCALE_FIELD_NUMBER: _ClassVar[int]
    MIX_ABANDONED_FIELD_NUMBER: _ClassVar[int]
    seated: Seated
    tick: Tick
    phase_end: PhaseEnd
    mix_batch: MixBatch
    mix_gradient: MixGradient
    mix_scale: MixScale
    mix_abandoned: MixAbandoned
    def __init__(self, seated: _Optional[_Union[Seated, _Mapping]] = ..., tick: _Optional[_Union[Tick, _Mapping]] = ..., phase_end: _Optional[_Union[PhaseEnd, _Mapping]] = ..., mix_batch: _Optional[_Union[MixBatch, _Mapping]] = ..., mix_gradient: _Optional[_Union[MixGradient, _Mapping]] = ..., mix_scale: _Optional[_Union[MixScale, _Mapping]] = ..., mix_abandoned: _Optional[_Union[MixAbandoned, _Mapping]] = ...) -> None: ...

class Seated(_message.Message):
    __slots__ = ("phase",)
    PHASE_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    def __init__(self, phase: _Optional[_Union[Phase, _Mapping]] = ...) -> None: ...

class Tick(_message.Message):
    __slots__ = ("tick", "steps", "observations", "available", "rewards", "ended", "battles")
    TICK_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    tick: int
    steps: int
    observations: bytes
    available: bytes
    rewards: bytes
    ended: bytes
    battles: bytes
    def __init__(self, tick: _Optional[int] = ..., steps: _Optional[int] = ..., observations: _Optional[bytes] = ..., available: _Optional[bytes] = ..., rewards: _Optional[bytes] = ..., ended: _Optional[bytes] = ..., battles: _Optional[bytes] = ...) -> None: ...

class PhaseEnd(_message.Message):
    __slots__ = ("standing", "battles", "steps", "won", "return_sum", "missed", "attested")
    STANDING_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WON_FIELD_NUMBER: _ClassVar[int]
    RETURN_SUM_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    ATTESTED_FIELD_NUMBER: _ClassVar[int]
    standing: Standing
    battles: int
    steps: int
    won: int
    return_sum: float
    missed: int
    attested: str
    def __init__(self, standing: _Optional[_Union[Standing, _Mapping]] = ..., battles: _Optional[int] = ..., steps: _Optional[int] = ..., won: _Optional[int] = ..., return_sum: _Optional[float] = ..., missed: _Optional[int] = ..., attested: _Optional[str] = ...) -> None: ...

class MixBatch(_message.Message):
    __slots__ = ("step", "battles")
    STEP_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    step: int
    battles: bytes
    def __init__(self, step: _Optional[int] = ..., battles: _Optional[bytes] = ...) -> None: ...

class MixUtilities(_message.Message):
    __slots__ = ("step", "steps", "battles", "chosen", "bootstrap")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    BOOTSTRAP_FIELD_NUMBER: _ClassVar[int]
    step: int
    steps: int
    battles: int
    chosen: bytes
    bootstrap: bytes
    def __init__(self, step: _Optional[int] = ..., steps: _Optional[int] = ..., battles: _Optional[int] = ..., chosen: _Optional[bytes] = ..., bootstrap: _Optional[bytes] = ...) -> None: ...

class MixHoldings(_message.Message):
    __slots__ = ("step", "battles")
    STEP_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    step: int
    battles: bytes
    def __init__(self, step: _Optional[int] = ..., battles: _Optional[bytes] = ...) -> None: ...

class MixGradient(_message.Message):
    __slots__ = ("step", "steps", "battles", "gradient")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_FIELD_NUMBER: _ClassVar[int]
    step: int
    steps: int
    battles: int
    gradient: bytes
    def __init__(self, step: _Optional[int] = ..., steps: _Optional[int] = ..., battles: _Optional[int] = ..., gradient: _Optional[bytes] = ...) -> None: ...

class MixNorm(_message.Message):
    __slots__ = ("step", "squared")
    STEP_FIELD_NUMBER: _ClassVar[int]
    SQUARED_FIELD_NUMBER: _ClassVar[int]
    step: int
    squared: float
    def __init__(self, step: _Optional[int] = ..., squared: _Optional[float] = ...) -> None: ...

class MixScale(_message.Message):
    __slots__ = ("step", "scale", "loss", "q_mean", "td_error_abs", "grad_norm")
    STEP_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    Q_MEAN_FIELD_NUMBER: _ClassVar[int]
    TD_ERROR_ABS_FIELD_NUMBER: _ClassVar[int]
    GRAD_NORM_FIELD_NUMBER: _ClassVar[int]
    step: int
    scale: float
    loss: float
    q_mean: float
    td_error_abs: float
    grad_norm: float
    def __init__(self, step: _Optional[int] = ..., scale: _Optional[float] = ..., loss: _Optional[float] = ..., q_mean: _Optional[float] = ..., td_error_abs: _Optional[float] = ..., grad_norm: _Optional[float] = ...) -> None: ...

class MixAbandoned(_message.Message):
    __slots__ = ("step",)
    STEP_FIELD_NUMBER: _ClassVar[int]
    step: int
    def __init__(self, step: _Optional[int] = ...) -> None: ...
