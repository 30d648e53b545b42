"""Serve the project on a free port of the loopback interface, print the port, and run until SIGTERM."""

import socket

import uvicorn

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio does not set it on this socket, and each response would wait for the client's delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        "eventstore_project.asgi:application",
        log_level="warning",
        lifespan="off",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])
