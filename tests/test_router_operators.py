import contextlib
import re

import numpy as np
import pytest

from budgetmem.errors import ConfigError

onnx = pytest.importorskip("onnx", reason="needs the `embedded` extra")

from budgetmem.router_operators import OPERATORS, check_model  # noqa: E402

NUMBER = onnx.TensorProto.FLOAT
FORMS = {form.name: form for form in onnx.defs.get_all_schemas() if not form.domain}


def node(operator: str = "Relu", **attributes: object):
    return onnx.helper.make_node(operator, ["x"], ["y"], **attributes)


def tensor(value: float = 1.0, name: str = "w"):
    return onnx.numpy_helper.from_array(np.array([0.5, value], np.float32), name)


def model(*nodes, weights=(), sets=(("", 17),), functions=()):
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(name, NUMBER, ["n"]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], list(weights))
    imports = [helper.make_opsetid(*each) for each in sets]
    return helper.make_model(graph, opset_imports=imports, functions=functions)


def refused(made, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_model(made.SerializeToString(), 17)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_of_the_list_is_one_of_onnx_without_graphs_inside(operator):
    attributes = FORMS[operator].attributes.values()
    kinds = onnx.defs.OpSchema.AttrType
    assert not {kinds.GRAPH, kinds.GRAPHS} & {each.type for each in attributes}
    check_model(model(node(operator)).SerializeToString(), 17)


def test_the_list_has_nothing_random_and_no_control_flow():
    random = re.compile("Random|Bernoulli|Multinomial|Dropout")
    assert not [name for name in OPERATORS if random.search(name)]
    assert not OPERATORS & {"If", "Loop", "Scan", "SequenceMap", "Optional"}


@pytest.mark.parametrize(
    "made",
    [
        node("RandomNormalLike", scale=0.0),
        node("If"),
        node("Loop"),
        node("Conv"),
        node("Relu", domain="com.microsoft"),
    ],
    ids=lambda made: made.op_type,
)
def test_other_operators_are_refused_by_name(made):
    name = f"com.microsoft.{made.op_type}" if made.domain else made.op_type
    refused(model(node(), made), f"no router may have the operators {name}: export")


def test_all_other_operators_are_named_once():
    refused(model(node("Loop"), node("If"), node("Loop")), "the operators If, Loop: ")


def test_operators_of_the_files_own_are_refused():
    own = onnx.helper.make_function(
        "", "Relu", ["x"], ["y"], [node("Tanh")], [onnx.helper.make_opsetid("", 17)]
    )
    refused(model(node(), functions=[own]), "operators of its own, Relu")


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        ((("", 18),), "ai.onnx 18"),
        ((("", 17), ("com.microsoft", 17)), "ai.onnx 17, com.microsoft 17"),
        ((), ""),
    ],
)
def test_the_operator_set_is_that_of_the_card(sets, found):
    refused(model(node(), sets=sets), f"its operator sets are {found}, its card says 17")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_and_constants_are_finite(value):
    refused(model(node(), weights=[tensor(), tensor(value, "bias")]), "'bias' are not finite")
    refused(model(node("Constant", value=tensor(value))), "'Constant' are not finite")
    refused(model(node("Constant", value_float=float(value))), "'Constant' are not finite")
    refused(model(node("Constant", value_floats=[0.0, float(value)])), "'Constant' are not finite")


def test_weights_in_other_files_are_refused():
    outside = tensor()
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../etc/passwd")
    refused(model(node(), weights=[outside]), "'w' lie in another file")
    refused(model(node("Constant", value=outside)), "'Constant' lie in another file")


def test_sparse_weights_are_refused():
    made = model(node())
    made.graph.sparse_initializer.add()
    refused(made, "sparse weights")
    constant = node("Constant")
    constant.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
    constant.attribute[0].sparse_tensor.dims.append(1)
    refused(model(constant), "sparse weights")


def test_weights_that_cannot_be_read():
    short, unknown = tensor(), tensor()
    short.dims[0] = 1000
    unknown.data_type = 99
    for weights in (short, unknown):
        refused(model(node(), weights=[weights]), "'w' cannot be read: ")


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08", b"\xff" * 100])
def test_what_is_no_onnx_file(content):
    with pytest.raises(ConfigError, match=r"not an ONNX file.*: export the router again"):
        check_model(content, 17)


def test_a_file_that_is_cut_off_anywhere():
    whole = model(node(), weights=[tensor()]).SerializeToString()
    for end in range(len(whole)):
        with contextlib.suppress(ConfigError):  # and nothing else; some are whole by chance
            check_model(whole[:end], 17)
