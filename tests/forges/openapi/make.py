"""Makes github.json from GitHub's description: `python -m tests.forges.openapi.make api.github.com.json`.

Kept are the operations that the stand-in serves, of each answer its JSON schema, and the components those
need. Words for people are left out, and `nullable` becomes a type of JSON Schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("github.json")
OPERATIONS = [
    "users/get-authenticated",
    "rate-limit/get",
    "meta/get",
    "apps/get-authenticated",
    "apps/create-from-manifest",
    "apps/list-installations",
    "apps/get-installation",
    "apps/create-installation-access-token",
    "apps/list-repos-accessible-to-installation",
    "apps/list-installations-for-authenticated-user",
    "repos/list-for-authenticated-user",
    "repos/get",
    "repos/create-for-authenticated-user",
    "repos/create-in-org",
    "repos/update",
    "repos/delete",
    "repos/list-webhooks",
    "repos/create-webhook",
    "repos/get-webhook",
    "repos/update-webhook",
    "repos/delete-webhook",
    "repos/ping-webhook",
    "repos/test-push-webhook",
    "repos/list-webhook-deliveries",
    "repos/get-webhook-delivery",
    "repos/redeliver-webhook-delivery",
    "repos/list-branches",
    "git/create-ref",
    "git/update-ref",
    "repos/create-commit-status",
    "repos/get-combined-status-for-ref",
    "checks/list-for-ref",
    "actions/list-workflow-runs-for-repo",
    "pulls/list",
    "pulls/get",
    "pulls/create",
    "pulls/update",
    "pulls/merge",
    "pulls/request-reviewers",
    "pulls/remove-requested-reviewers",
    "issues/add-labels",
    "issues/set-labels",
    "issues/add-assignees",
    "issues/remove-assignees",
]
_WORDS = {"description", "example", "examples", "title", "externalDocs", "deprecated", "default", "readOnly"}


def trimmed(whole: dict[str, Any]) -> dict[str, Any]:
    """The operations by method and path, and the components they need."""
    operations, needed = [], set[str]()
    for path, methods in whole["paths"].items():
        for method, about in methods.items():
            if about.get("operationId") not in OPERATIONS:
                continue
            answers = {status: _schema(whole, answer) for status, answer in about["responses"].items()}
            operations.append({"method": method.upper(), "path": path, "answers": answers})
            needed |= _names(answers)
    schemas: dict[str, Any] = {}
    while needed:
        name = needed.pop()
        schemas[name] = plain(whole["components"]["schemas"][name])
        needed |= _names(schemas[name]) - schemas.keys()
    missing = set(OPERATIONS) - {
        about.get("operationId") for methods in whole["paths"].values() for about in methods.values()
    }
    if missing:
        raise SystemExit(f"not in the description: {sorted(missing)}")
    components = {"schemas": dict(sorted(schemas.items()))}
    return {"version": whole["info"]["version"], "operations": operations, "components": components}


def plain(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for name, value in schema.items():
        if name == "properties":
            kept[name] = {key: plain(one) for key, one in value.items()}
        elif name not in _WORDS and not name.startswith("x-") and name != "nullable":
            kept[name] = value if name in ("enum", "required", "$ref") else plain(value)
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept


def _schema(whole: dict[str, Any], answer: dict[str, Any]) -> Any:
    """The schema of an answer's JSON, None for one without."""
    if "$ref" in answer:
        answer = whole["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    content = answer.get("content", {}).get("application/json", {})
    return plain(content["schema"]) if "schema" in content else None


def _names(schema: Any) -> set[str]:
    """The components that a schema refers to."""
    if isinstance(schema, list):
        return set[str]().union(*map(_names, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set[str]()
    return own.union(*map(_names, schema.values()))


if __name__ == "__main__":
    made = trimmed(json.loads(Path(sys.argv[1]).read_text()))
    KEPT.write_text(json.dumps(made, separators=(",", ":"), sort_keys=True) + "\n")
