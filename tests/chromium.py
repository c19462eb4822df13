"""How every test starts Chromium: headless machines, a synthetic camera and microphone, no calls home."""

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
)
ALLOW_DEVICES = "--use-fake-ui-for-media-stream"
