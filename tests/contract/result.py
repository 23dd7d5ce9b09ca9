"""Counts the answers of a run: enough of them, each operation answered with a success, and none of them a failure of ours.

usage: result.py ANSWERS DOCUMENT"""

import collections
import json
import sys

LEAST = 2000

answers = [json.loads(line) for line in open(sys.argv[1])]
paths = json.load(open(sys.argv[2]))["paths"]
operations = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
statuses = collections.defaultdict(collections.Counter)
for answer in answers:
    statuses[answer["operation"]][answer["status"]] += 1
faults = []
for operation in operations:
    seen = statuses[operation]
    print(f"{operation:22}", "  ".join(f"{status}: {count}" for status, count in sorted(seen.items())))
    if not any(200 <= status < 300 for status in seen):
        faults.append(f"{operation} was never answered with a success")
    faults += [f"{operation} was answered {status}" for status in seen if status >= 500]
if len(answers) < LEAST:
    faults.append(f"only {len(answers)} answers, and not {LEAST}")
print(f"{len(answers)} answers to {len(operations)} operations")
sys.exit("\n".join(faults) or 0)
