# The project and all it needs. In a clone:
#   docker build -t dtlib .
#   docker run --rm dtlib make test
#   docker run --rm -v "$PWD/runs:/dtlib/runs" -v "$PWD/_build:/dtlib/_build" dtlib make reproduce
FROM python:3.12-slim
# A browser for the book's pages and other processors for the hashes: only tests use them.
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium git make qemu-user \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /dtlib
COPY . .
RUN make install
CMD ["make", "reproduce"]
