"""Is a JSON value as an OpenAPI 3.0 document says? As much of JSON Schema as that document uses, and no more."""
import re


def problems(value, schema, document, where="body"):
    """A list of sentences; empty: it is valid."""
    known = {"$ref", "type", "properties", "required", "additionalProperties", "items", "enum", "pattern", "format",
             "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "nullable", "allOf", "description"}
    found = [f"{where}: the schema has {k}" for k in schema if k not in known]
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return found + problems(value, document["components"]["schemas"][name], document, where)
    if value is None:
        return found + ([] if schema.get("nullable") else [f"{where}: null"])
    for part in schema.get("allOf", []):
        found += problems(value, part, document, where)
    if "type" not in schema:
        return found
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    right = isinstance(value, types[schema["type"]])
    if not right or (schema["type"] == "integer" and isinstance(value, bool)):
        return [*found, f"{where}: {value!r:.60} is no {schema['type']}"]
    return found + {dict: in_object, list: in_list, str: in_text}.get(type(value), in_number)(
        value, schema, document, where)


def in_object(value, schema, document, where):
    found = [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        inside = f"{where}.{name}"
        if name in properties:
            found += problems(item, properties[name], document, inside)
        elif more is False:
            found.append(f"{inside}: not in the schema")
        elif isinstance(more, dict):
            found += problems(item, more, document, inside)
    return found


def in_list(value, schema, document, where):
    found = [] if schema["minItems"] <= len(value) <= schema["maxItems"] else [f"{where}: {len(value)} items"]
    for i, item in enumerate(value):
        found += problems(item, schema["items"], document, f"{where}[{i}]")
    return found


def in_text(value, schema, _, where):
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return [f"{where}: {value!r} does not match {schema['pattern']}"]
    size = len(value.encode())
    return [] if schema.get("minLength", 0) <= size <= schema.get("maxLength", 1 << 40) else [f"{where}: {size} bytes"]


def in_number(value, schema, _, where):
    good = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return [] if good else [f"{where}: {value} is out of bounds"]


def operation(document, method, path):
    """What the document says of a request: (its path, the operation), or None."""
    for pattern, methods in sorted(document["paths"].items(), key=lambda p: p[0].count("{")):
        regex = "^" + re.sub(r"\\\{[a-z]+\\\}", "[^/]+", re.escape(pattern)) + "$"
        if re.match(regex, path.partition("?")[0]) and method.lower() in methods:
            return pattern, methods[method.lower()]
    return None


def check_answer(document, method, path, answer):
    """Sentences on an answer that is not as declared."""
    found = operation(document, method, path)
    if found is None:
        return [] if answer.status in (400, 401, 404, 405) else [f"{answer.status} for a path that is not declared"]
    responses = found[1]["responses"]
    declared = responses.get(str(answer.status), responses["default"] if answer.status >= 400 else None)
    if declared is None:
        return [f"status {answer.status} is not declared"]
    content = declared.get("content")
    if not content:
        return []
    (kind, body), = content.items()
    if kind != "application/json":
        return []
    if answer.json is None:
        return [f"no JSON: {answer}"]
    return problems(answer.json, body["schema"], document)
