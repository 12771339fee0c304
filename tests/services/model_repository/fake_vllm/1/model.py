"""A fake of Triton's vLLM backend: the same inputs and stream of deltas, no language model.

The first word of the prompt directs it; any other prompt is echoed, one word a response.

    #inputs         replies with the JSON of every input it received
    #error-now      an error as the only response
    #error-later    two words, then an error in the stream
    #unavailable    the error of a vLLM backend whose engine died
    #hang           one word, then nothing until it is cancelled
    #cancelled      replies with the number of cancelled requests so far
    #crash          one word, then the process of this model dies
    #no-logprob     echoes with NaN log-probabilities, as vLLM does when it has none
    #empty-final    echoes, and puts the final flag on a response without tensors
"""

import json
import os
import signal
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
LOGPROB_OF_A_WORD = -0.5
INPUTS = (
    "text_input",
    "stream",
    "sampling_parameters",
    "exclude_input_in_output",
    "return_finish_reason",
    "return_cumulative_logprob",
    "return_num_input_tokens",
    "return_num_output_tokens",
)


def read_inputs(request):
    tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in INPUTS}
    values = {name: t.as_numpy()[0] for name, t in tensors.items() if t is not None}
    return {n: v.decode() if isinstance(v, bytes) else v.item() for n, v in values.items()}


def delta(prompt, word, index, finish_reason="None", logprob=LOGPROB_OF_A_WORD):
    outputs = {
        "text_output": np.array([word.encode()], dtype=np.object_),
        "finish_reason": np.array([finish_reason.encode()], dtype=np.object_),
        "cumulative_logprob": np.array([logprob * (index + 1)], dtype=np.float32),
        "num_input_tokens": np.asarray(len(prompt.split()), dtype=np.uint32),
        "num_output_tokens": np.array([1], dtype=np.uint32),
    }
    return pb_utils.InferenceResponse([pb_utils.Tensor(n, v) for n, v in outputs.items()])


def failure(message, *code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, *code))


class TritonPythonModel:
    def initialize(self, args):
        self.cancelled = 0
        self.directives = {
            "#inputs": lambda sender, inputs: self.say(sender, inputs, [json.dumps(inputs)]),
            "#error-now": self.error_now,
            "#error-later": self.error_later,
            "#unavailable": self.unavailable,
            "#hang": self.hang,
            "#cancelled": lambda sender, inputs: self.say(sender, inputs, [str(self.cancelled)]),
            "#crash": self.crash,
            "#no-logprob": self.no_logprob,
            "#empty-final": self.empty_final,
        }

    def execute(self, requests):
        for request in requests:
            inputs = read_inputs(request)
            directive = inputs["text_input"].split()[0]
            answer = self.directives.get(directive, self.echo)
            sender = request.get_response_sender()
            threading.Thread(target=answer, args=(sender, inputs), daemon=True).start()

    def echo(self, sender, inputs):
        self.say(sender, inputs, [f"{word} " for word in inputs["text_input"].split()])

    def say(self, sender, inputs, words):
        limit = json.loads(inputs["sampling_parameters"])["max_tokens"]
        words, reason = words[:limit], "stop" if len(words) <= limit else "length"
        for index, word in enumerate(words):
            last = index == len(words) - 1
            response = delta(inputs["text_input"], word, index, reason if last else "None")
            sender.send(response, flags=FINAL if last else 0)

    def error_now(self, sender, inputs):
        sender.send(failure("fake failure"), flags=FINAL)

    def error_later(self, sender, inputs):
        for index in range(2):
            sender.send(delta(inputs["text_input"], "word ", index))
        sender.send(failure("fake failure after two words"), flags=FINAL)

    def unavailable(self, sender, inputs):
        code = pb_utils.TritonError.UNAVAILABLE
        sender.send(failure("Model is unavailable due to unhealthy vLLM engine", code), flags=FINAL)

    def hang(self, sender, inputs):
        sender.send(delta(inputs["text_input"], "one ", 0))
        while not sender.is_cancelled():
            time.sleep(0.01)
        self.cancelled += 1
        code = pb_utils.TritonError.CANCELLED
        sender.send(failure("Request was cancelled", code), flags=FINAL)

    def crash(self, sender, inputs):
        sender.send(delta(inputs["text_input"], "one ", 0))
        os.kill(os.getpid(), signal.SIGKILL)

    def no_logprob(self, sender, inputs):
        response = delta(inputs["text_input"], "one", 0, "stop", float("nan"))
        sender.send(response, flags=FINAL)

    def empty_final(self, sender, inputs):
        sender.send(delta(inputs["text_input"], "one", 0, "stop"))
        sender.send(flags=FINAL)
