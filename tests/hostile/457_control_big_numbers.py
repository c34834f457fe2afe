# id: 457
# name: control_big_numbers
# kind: benign-control
# threat: an integer of 15,000 digits as text, and its digit sum
# expect: ok
# invariants: out=67192
# wall_s: 2
print(sum(map(int, str(2**49_828))))
