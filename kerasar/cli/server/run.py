"""Runs KServe's model server with one model."""

import logging
from typing import Any

from kserve import ModelServer
from kserve.errors import InvalidInput, ServerNotReady
from kserve.model_server import app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from kerasar.cli.server.adapter import ServedExport
from kerasar.cli.server.body_limit import BodyLimit


def run_server(model: ServedExport, host: str, port: int, max_bytes: int) -> None:
    """Serves a model until SIGINT or SIGTERM; requests that have begun are answered."""
    app.add_middleware(BodyLimit, max_bytes=max_bytes)
    _Server(host, http_port=port, enable_grpc=False, enable_latency_logging=False).start([model])


class _Server(ModelServer):
    """KServe's server on one host; the model stays."""

    def __init__(self, host: str, **options: Any) -> None:
        super().__init__(**options)  # it configures the loggers
        logging.getLogger("kserve").addFilter(_in_one_line)
        logging.getLogger("kserve.trace").setLevel(logging.WARNING)  # two lines for each request
        self.host = host
        self.model_repository_extension = _Fixed(self.registered_models)
        self.dataplane = _StrictDataPlane(self.registered_models)

    async def _serve(self) -> None:
        self._rest_server.config.host = self.host  # KServe would take every one
        await super()._serve()


class _StrictDataPlane(DataPlane):
    """Refuses what cannot be read or done, where KServe would name itself at fault."""

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().decode(*args, **kwargs)
        except InvalidInput:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInput(f"The request cannot be read: {error}.") from None

    async def explain(self, *args: Any, **kwargs: Any) -> Any:
        raise InvalidInput("This server does not explain. Ask :predict, or v2's infer.")


class _Fixed(ModelRepositoryExtension):
    """Refuses to load and unload models: a request must not take the model from others."""

    async def load(self, model_name: str) -> None:
        raise InvalidInput("This server has one model, which is loaded already.")

    async def unload(self, model_name: str) -> None:
        raise InvalidInput("This server keeps its model. End the process to unload it.")


def _in_one_line(record: logging.LogRecord) -> bool:
    """Logs a refused request without a traceback."""
    if record.exc_info and isinstance(record.exc_info[1], (InvalidInput, ServerNotReady)):
        record.msg, record.args = "Refused: %s", (record.exc_info[1],)
        record.exc_info = None
    return True
