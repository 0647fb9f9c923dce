"""Kills `append` of a binary with SIGKILL at random moments.

Every receipt that was printed must be there after reopening, once, in order, intact. Each line's content is
its number, so that order, holes and duplicates show. Usage: kill_loop.py BINARY ROUNDS
"""

import json
import random
import subprocess
import sys
import tempfile
import threading


def feed(process, first):
    number = first
    try:
        while True:
            line = {"type": "add_message", "conversation_id": "c", "content": str(number), "id": f"m{number}"}
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
            number += 1
    except OSError:
        pass


def contents(binary, data):
    shown = subprocess.run([binary, "-d", data, "show", "c", "--json"], capture_output=True)
    if shown.returncode == 3:
        return []
    assert shown.returncode == 0, shown.stderr.decode()
    return [message["content"] for message in json.loads(shown.stdout)["messages"]]


def main(binary, rounds):
    random.seed(1)
    with tempfile.TemporaryDirectory() as home:
        data, there = f"{home}/data", 0
        for round_number in range(rounds):
            command = [binary, "-d", data, "append"]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            threading.Thread(target=feed, args=(process, there), daemon=True).start()
            threading.Timer(random.uniform(0.003, 0.25), process.kill).start()
            # A receipt that the kill cut short was not received.
            receipts = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith(b"}\n")]
            process.wait()
            assert all(json.loads(receipt)["durable"] for receipt in receipts)
            found = contents(binary, data)
            assert found == [str(n) for n in range(len(found))], "a hole, a duplicate or a wrong order"
            assert len(found) >= there + len(receipts), f"{there + len(receipts)} acknowledged, {len(found)} there"
            there = len(found)
            if round_number % 5 == 4:
                subprocess.run([binary, "-d", data, "compact"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([binary, "-d", data, "verify"], check=True, stdout=subprocess.DEVNULL)
    print(f"{rounds} kills, {there} messages, every acknowledged one there")


main(sys.argv[1], int(sys.argv[2]))
