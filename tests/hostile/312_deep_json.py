# id: 312
# name: deep_json
# kind: hostile
# threat: overflows a C recursion that is not Python's own
# expect: error|crash
# wall_s: 2
import json

print(json.loads("[" * 1_000_000))
