from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
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
    __slots__ = ("arena", "map", "backend", "version", "battles", "n_agents", "n_actions", "obs_size", "state_size", "episode_limit", "round", "steps", "rules")
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
    def __init__(self, arena: _Optional[str] = ..., map: _Optional[str] = ..., backend: _Optional[str] = ..., version: _Optional[str] = ..., battles: _Optional[int] = ..., n_agents: _Optional[int] = ..., n_actions: _Optional[int] = ..., obs_size: _Optional[int] = ..., state_size: _Optional[int] = ..., episode_limit: _Optional[int] = ..., round: _Optional[int] = ..., steps: _Optional[int] = ..., rules: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("seed", "round", "kind", "battles", "steps", "standing")
    SEED_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    seed: int
    round: int
    kind: PhaseKind
    battles: int
    steps: int
    standing: Standing
    def __init__(self, seed: _Optional[int] = ..., round: _Optional[int] = ..., kind: _Optional[_Union[PhaseKind, str]] = ..., battles: _Optional[int] = ..., steps: _Optional[int] = ..., standing: _Optional[_Union[Standing, _Mapping]] = ...) -> None: ...

class SeatMessage(_message.Message):
    __slots__ = ("join", "propose", "act")
    JOIN_FIELD_NUMBER: _ClassVar[int]
    PROPOSE_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    join: Join
    propose: Propose
    act: Act
    def __init__(self, join: _Optional[_Union[Join, _Mapping]] = ..., propose: _Optional[_Union[Propose, _Mapping]] = ..., act: _Optional[_Union[Act, _Mapping]] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("arena", "seat", "token", "version", "phase")
    ARENA_FIELD_NUMBER: _ClassVar[int]
    SEAT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    arena: str
    seat: int
    token: str
    version: str
    phase: Phase
    def __init__(self, arena: _Optional[str] = ..., seat: _Optional[int] = ..., token: _Optional[str] = ..., version: _Optional[str] = ..., phase: _Optional[_Union[Phase, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("seated", "tick", "phase_end")
    SEATED_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    PHASE_END_FIELD_NUMBER: _ClassVar[int]
    seated: Seated
    tick: Tick
    phase_end: PhaseEnd
    def __init__(self, seated: _Optional[_Union[Seated, _Mapping]] = ..., tick: _Optional[_Union[Tick, _Mapping]] = ..., phase_end: _Optional[_Union[PhaseEnd, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("standing", "battles", "steps", "won", "return_sum", "missed")
    STANDING_FIELD_NUMBER: _ClassVar[int]
    BATTLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WON_FIELD_NUMBER: _ClassVar[int]
    RETURN_SUM_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    standing: Standing
    battles: int
    steps: int
    won: int
    return_sum: float
    missed: int
    def __init__(self, standing: _Optional[_Union[Standing, _Mapping]] = ..., battles: _Optional[int] = ..., steps: _Optional[int] = ..., won: _Optional[int] = ..., return_sum: _Optional[float] = ..., missed: _Optional[int] = ...) -> None: ...
