"""``python -m tests.chaos.ray_nodes PORT``: a Ray of three nodes on loopback, until it is killed.

Prints the process ids of what stands for each node, the head first, as a line of JSON.
"""

import json
import sys
import threading

from ray.cluster_utils import Cluster


def main() -> None:
    """Start the nodes, print their addresses, and wait."""
    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
    head = {"gcs_server_port": int(sys.argv[1]), "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node | head)
    nodes = [cluster.head_node, *(cluster.add_node(**node) for _ in range(2))]
    cluster.wait_for_nodes()
    print(json.dumps([[one.process.pid for all in n.all_processes.values() for one in all] for n in nodes]), flush=True)
    threading.Event().wait()


main()
