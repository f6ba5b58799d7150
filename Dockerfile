# The server of `matte serve` without PyTorch, on the CPU, weights inside. Build it in a checkout:
#
#   docker build -t matte-serve . && docker run --read-only --cap-drop ALL -p 8000:8000 -e MATTE_TOKEN=… matte-serve
FROM python:3.12-slim AS build
COPY . /source
RUN python -m venv /opt/matte \
    && /opt/matte/bin/pip install --no-cache-dir --no-compile '/source/packaging/lite[serve,heic]'
# What only developers need: tests, tools that make ONNX files, onnxruntime for programs in C, pip. If anything
# of it is missed the build ends here; the photo also leaves the bytecode of what one needs.
RUN cd /opt/matte/lib/python3.*/site-packages \
    && rm -rf onnxruntime/transformers onnxruntime/tools onnxruntime/quantization onnxruntime/capi/libonnxruntime.so.* \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && rm -rf pip pip-* \
    && /opt/matte/bin/matte predict /source/examples/cat.jpg /tmp/cat.png

FROM python:3.12-slim
COPY --from=build /opt/matte /opt/matte
ENV PATH=/opt/matte/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/nonexistent
# No user of this number needs to exist, and none may write anything.
USER 10001:10001
WORKDIR /
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]
ENTRYPOINT ["matte"]
# Without a token of its own it makes one, and prints it.
CMD ["serve", "--host", "0.0.0.0", "--no-open"]
