# One image for all services of compose.yaml, which builds it. By itself: docker build -t pps-qmix .
# And nginx, for compose.secure.yaml: docker build --target nginx -t pps-qmix-nginx .
# And with SMAC, for compose.starcraft.yaml: docker build --target starcraft -t pps-qmix-starcraft .
# With wheels of your own beside those of the index: --build-context wheels=DIR. One of SMAC takes the place of its repository.
ARG BASE=python:3.11-slim

FROM scratch AS wheels

FROM ${BASE} AS requirements
COPY pyproject.toml .
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
    > requirements.txt

FROM ${BASE} AS dependencies
# PyTorch's index of CPU builds: on Linux, the package index has CUDA's, several GB. "": the package index, or the wheels.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/pps-qmix
COPY constraints.txt .
# What PyTorch brings for those who compile against it, or test it, is a fifth of it.
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/pps-qmix/bin/python install --no-deps --find-links /wheels \
        ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)" \
    && cd /opt/pps-qmix/lib/python3*/site-packages/torch && rm -rf include test bin/test_* bin/protoc*
COPY --from=requirements requirements.txt .
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/pps-qmix/bin/python install --find-links /wheels -r requirements.txt

FROM dependencies AS package
COPY . .
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --find-links /wheels --wheel-dir /package .

FROM ${BASE} AS user
# The folders are of group 0, which a container has whose --user is none of its own.
RUN useradd --uid 10001 --create-home pps-qmix \
    && install -d -o pps-qmix -g 0 -m 0770 /state /tokens /federation

FROM user AS nginx
# The distribution's; a base that has it needs no package index.
RUN command -v nginx || { apt-get update && apt-get install -y --no-install-recommends nginx && rm -rf /var/lib/apt/lists/*; }
COPY deploy/nginx.conf deploy/nginx-fleet.conf /etc/pps-qmix/
USER pps-qmix
CMD ["nginx", "-e", "stderr", "-c", "/etc/pps-qmix/nginx.conf"]

FROM user AS pps-qmix
COPY --from=dependencies /opt/pps-qmix /opt/pps-qmix
ENV PATH=/opt/pps-qmix/bin:$PATH NUMBA_CACHE_DIR=/var/cache/numba FLWR_TELEMETRY_ENABLED=0 PYTHONUNBUFFERED=1 \
    PPS_HOME=/state FLWR_HOME=/tmp/flwr
RUN --mount=type=bind,from=package,source=/package,target=/package \
    pip --no-cache-dir --disable-pip-version-check --python /opt/pps-qmix/bin/python install --no-deps \
        --root-user-action=ignore /package/*.whl
# The simulator and the agents' loops are compiled here once, or every new env proxy and agent would begin with that. What
# is compiled is for this CPU: on another one it is compiled again, and kept where NUMBA_CACHE_DIR can be written.
RUN PPS_HOME=/tmp/home pps-qmix train --map 3m --runtime in-process --total-steps 200 --batch-size 2 --runs /tmp/runs \
    && rm -r /tmp/home /tmp/runs \
    && chmod -R a+rwX "$NUMBA_CACHE_DIR"
COPY deploy/as-owner /usr/local/bin/
USER pps-qmix
WORKDIR /home/pps-qmix

FROM ${BASE} AS starcraft-packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/starcraft
COPY deploy/starcraft/requirements.txt .
# The import fails the build if the wheel is AutoML's smac, or the list lacks something.
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/root/.cache/pip \
    wheel="$(find /wheels -iname 'smac-*.whl' | head -n 1)" \
    && if [ -n "$wheel" ]; then sed -i "s|^smac @ .*|$wheel|" requirements.txt; \
        elif ! command -v git; then apt-get update && apt-get install -y --no-install-recommends git; fi \
    && pip --python /opt/starcraft/bin/python install --no-deps --find-links /wheels -r requirements.txt \
    && /opt/starcraft/bin/python -c 'import smac.env.starcraft2.starcraft2'

# Nothing of StarCraft II is in it: its folder is mounted.
FROM pps-qmix AS starcraft
COPY --from=starcraft-packages /opt/starcraft /opt/starcraft
ENV PPS_SMAC_PYTHON=/opt/starcraft/bin/python SC2PATH=/StarCraftII

# What is built when no target is named.
FROM pps-qmix
