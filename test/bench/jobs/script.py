# SPDX-License-Identifier: Apache-2.0
# Objects, dictionaries, strings, sorting, generators, exceptions, whole numbers and floats.
import sys


class Node:
    __slots__ = ("key", "left", "right", "count")

    def __init__(self, key):
        self.key, self.left, self.right, self.count = key, None, None, 1


class Tree:
    def __init__(self):
        self.root = None

    def add(self, key):
        if self.root is None:
            self.root = Node(key)
            return
        node = self.root
        while True:
            if key == node.key:
                node.count += 1
                return
            side = "left" if key < node.key else "right"
            below = getattr(node, side)
            if below is None:
                setattr(node, side, Node(key))
                return
            node = below

    def walk(self, node):
        if node is not None:
            yield from self.walk(node.left)
            yield node
            yield from self.walk(node.right)


def numbers(n, seed=12345):
    for _ in range(n):
        seed = (seed * 1103515245 + 12345) % 2147483648
        yield seed >> 8


def words(text):
    counts = {}
    for word in text.replace("(", " ").replace(")", " ").split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda p: (-p[1], p[0]))[:10]


def main():
    tree = Tree()
    for x in numbers(15000):
        tree.add(x % 5000)
    print(sum(n.key * n.count for n in tree.walk(tree.root)))
    with open(sys.argv[1], encoding="utf-8") as f:
        text = f.read(300000)
    for word, count in words(text):
        print(count, word)
    rows = [[float((i * j) % 7) for j in range(40)] for i in range(40)]
    product = [[sum(a * b for a, b in zip(row, col)) for col in zip(*rows)] for row in rows]
    print(sum(map(sum, product)))
    big = 1
    for i in range(1, 400):
        big *= i
    print(len(str(big)), sum(map(int, str(big))))
    bad = 0
    for i in range(5000):
        try:
            bad += 10 // (i % 5)
        except ZeroDivisionError:
            bad -= 1
    print(bad, ",".join(f"{x:05x}" for x in sorted(numbers(2000), reverse=True))[:60])


main()
