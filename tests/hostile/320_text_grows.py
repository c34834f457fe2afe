# id: 320
# name: text_grows
# kind: hostile
# threat: a text that doubles
# expect: memory|error
# wall_s: 2
text = "mathematics"
while True:
    text += text
