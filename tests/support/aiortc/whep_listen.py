"""Listens by WHEP with aiortc, a WebRTC stack that shares no code with ours.

Prints one JSON object a line: {"event": "joined" | "heard" | "done", ...}. Ends by itself.
Usage: whep_listen.py WHEP_URL SECONDS [SECTIONS]
"""
import array
import asyncio
import json
import math
import sys
import time
import urllib.parse
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

LOUD_RMS = 300  # Of 32,768: speech is far above, comfort noise far below.


def say(**fields):
    print(json.dumps(fields), flush=True)


def request(method, url, body=None):
    headers = {"Content-Type": "application/sdp"} if body is not None else {}
    data = body.encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers, method=method)) as response:
        return response.status, response.headers, response.read().decode()


async def main(url, seconds, sections):
    loop = asyncio.get_running_loop()
    pc = RTCPeerConnection()
    frames = {}
    loud = {}

    async def listen(track, index):
        frames[index] = loud[index] = 0
        try:
            while True:
                frame = await track.recv()
                samples = array.array("h", bytes(frame.planes[0]))
                rms = math.sqrt(sum(s * s for s in samples[::8]) / max(1, len(samples[::8])))
                frames[index] += 1
                if rms > LOUD_RMS:
                    loud[index] += 1
                    if sum(loud.values()) == 1:
                        say(event="heard", afterMs=round(1000 * (time.monotonic() - started)), rms=round(rms))
        except MediaStreamError:
            pass

    tasks = []

    @pc.on("track")
    def on_track(track):
        tasks.append(asyncio.ensure_future(listen(track, len(tasks))))

    for _ in range(sections):
        pc.addTransceiver("audio", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    started = time.monotonic()
    status, headers, answer = await loop.run_in_executor(None, request, "POST", url, pc.localDescription.sdp)
    session = urllib.parse.urljoin(url, headers["Location"])
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    say(event="joined", status=status)
    await asyncio.sleep(seconds)
    await loop.run_in_executor(None, request, "DELETE", session)
    await pc.close()
    say(event="done", frames=sum(frames.values()), loudFrames=sum(loud.values()), state=pc.connectionState)


asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1))
