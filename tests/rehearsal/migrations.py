"""Repositories migrated through what is deployed: the API, the functions, the schedules and the registry."""

from checks import Checks, wait_until
from postgres import DATABASE
from stack import Stack
from world import World


def migrate(stack: Stack, checks: Checks, paths: list[str], by_schedule: bool) -> None:
    """Registers, lets the driver do the rest, and compares: rows, notifications, digests.

    by_schedule: waits for the next tick; otherwise the schedule's function is invoked as the schedule does.
    """
    world = stack.world
    checks.equal("none of them is in the new storage", [path for path in paths if world.is_equal(path)], [])
    listed = stack.call("POST", "/repositories", [{"path": path} for path in paths])
    switched = stack.call("PATCH", "/settings", {"enabled": True, "capacity": 8, "verify_tags": True})
    checks.equal("they are registered, and migrations switched on", (listed.status, switched.status), (200, 200))
    if not by_schedule:
        stack.invoke("enqueue-migrations", asynchronously=True)
    said = f"{len(paths)} repositories are done, and have all their tags"
    if not checks.comes(said, lambda: done(world, paths) == len(paths), 180):
        print(stack.call("GET", "/migrations/summary").body.decode())
    sent = [one for one in world.notifications() if one["report"]["path"] in paths]
    answered = [one["outcome"].get("status") for one in sent]
    checks.equal("each was notified twice, and each answered 200", answered, [200] * 2 * len(paths))
    checks.equal("every digest is equal", [path for path in paths if not world.is_equal(path)], [])
    checks.equal("migrations are switched off", stack.call("PATCH", "/settings", {"enabled": False}).status, 200)


def done(world: World, paths: list[str]) -> int:
    """How many are done, with their tags compared, as the writer knows."""
    listed = ",".join(f"'{path}'" for path in paths)
    so = "migration_state = 'import_done' AND tags_check = 'tags_complete'"
    return int(
        world.primary.sql(f"SELECT count(*) FROM container_repositories WHERE {so} AND path IN ({listed})", DATABASE)
    )


def start_by_hand(stack: Stack, checks: Checks, path: str) -> None:
    """An operator's start, while the driver starts nothing by itself."""
    stack.call("POST", "/repositories", [{"path": path}])
    stack.call("PATCH", "/settings", {"enabled": True, "capacity": 8, "created_before": "1970-01-02T00:00:00Z"})
    started = stack.call("POST", f"/migrations/start/{path}")
    checks.equal("a start by hand", (started.status, started.json.get("standing")), (202, "running"))
    checks.comes("  runs to its end", lambda: done(stack.world, [path]) == 1)
    stack.call("PATCH", "/settings", {"created_before": None})


def check_reader(stack: Stack, checks: Checks, path: str) -> None:
    """The reader serves what the writer has: a new process asks how it stands first, so it may take some seconds."""
    version = stack.call("GET", f"/migrations/status/{path}").json["version"]

    def served() -> dict | None:
        answer = stack.call("GET", f"/migrations/status/{path}?min_version={version}").json
        return answer if answer["served_by"] == "reader" else None

    answer = wait_until("the reader serves a status", served, 60)
    checks.equal("the reader shows the row as it is", answer["migration_state"], "import_done")
