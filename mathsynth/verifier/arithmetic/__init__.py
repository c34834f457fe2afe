"""Reading and judging the calculations that a text states: the parts behind `equations` and `steps`.

prose (tokens) → runs (what stands together) → expressions (trees and exact values) → judging (true, false, unknown);
beside them algebra (letters), spoken (said verb first) and hedges (the words around). Answers are not read here.
"""
