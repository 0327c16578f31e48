"""Where things are: docs/api.md tells what they are."""

API = "/api/bq-sync"
SESSION = f"{API}/session"
STATUS = f"{API}/status"
HEALTH = f"{API}/health"
ACTIVITY = f"{API}/activity"
FAILED = f"{API}/failed"
COMMANDS = f"{API}/commands"
FLUSH = f"{API}/flush"
RETENTION = f"{API}/retention"
PAUSE = f"{API}/pause"
RESUME = f"{API}/resume"
RETRY = f"{API}/retry"
DOCUMENT = f"{API}/openapi.json"


def command_link(request: str) -> str:
    """Where it is told what has become of a request."""
    return f"{COMMANDS}/{request}"
