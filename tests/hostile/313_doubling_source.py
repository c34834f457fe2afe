# id: 313
# name: doubling_source
# kind: hostile
# threat: a source that doubles until the compiler has no memory
# expect: memory|error|timeout|crash
# wall_s: 2
text = "1"
while True:
    text = f"({text}+{text})"
    eval(text)
