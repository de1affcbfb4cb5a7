"""Speaks by WHIP with aiortc: plays a sound file into a room.

Prints one JSON object a line: {"event": "joined" | "connected" | "done", ...}.
Usage: whip_speak.py WHIP_URL TOKEN SOUND_FILE SECONDS
"""
import asyncio
import json
import sys
import urllib.parse
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer


def say(**fields):
    print(json.dumps(fields), flush=True)


def request(method, url, token, body=None):
    headers = {"Authorization": f"Bearer {token}"}
    if body is not None:
        headers["Content-Type"] = "application/sdp"
    data = body.encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers, method=method)) as response:
        return response.status, response.headers, response.read().decode()


async def main(url, token, sound, seconds):
    loop = asyncio.get_running_loop()
    pc = RTCPeerConnection()

    @pc.on("connectionstatechange")
    def on_state():
        say(event=pc.connectionState)

    pc.addTrack(MediaPlayer(sound, loop=True).audio)
    await pc.setLocalDescription(await pc.createOffer())
    status, headers, answer = await loop.run_in_executor(None, request, "POST", url, token, pc.localDescription.sdp)
    session = urllib.parse.urljoin(url, headers["Location"])
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    say(event="joined", status=status)
    await asyncio.sleep(seconds)
    await loop.run_in_executor(None, request, "DELETE", session, token)
    await pc.close()
    say(event="done")


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
