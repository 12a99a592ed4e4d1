"""What Gemini's requests are made of, by Google's names.

Source: the types of Google's Python package google-genai, 3.4, for the Gemini API; its API reference (2026-11).
What no script heeds and nobody would mistake is ANY.
"""

from __future__ import annotations

from frontdesk.upstream.gemini_proto import (
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    INT32,
    INT64,
    STRING,
    STRUCT,
    Enum,
    Form,
    Named,
    Repeated,
)

_TYPE = Enum(
    "Type",
    frozenset({"TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}),
)
_MODE = Enum("FunctionCallingConfig.Mode", frozenset({"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"}))
_LEVEL = Enum(
    "ThinkingConfig.ThinkingLevel",
    frozenset({"THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"}),
)
_CATEGORY = Enum(
    "HarmCategory",
    frozenset(
        {
            "HARM_CATEGORY_UNSPECIFIED",
            "HARM_CATEGORY_HARASSMENT",
            "HARM_CATEGORY_HATE_SPEECH",
            "HARM_CATEGORY_SEXUALLY_EXPLICIT",
            "HARM_CATEGORY_DANGEROUS_CONTENT",
            "HARM_CATEGORY_CIVIC_INTEGRITY",
            "HARM_CATEGORY_JAILBREAK",
            "HARM_CATEGORY_IMAGE_HATE",
            "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
            "HARM_CATEGORY_IMAGE_HARASSMENT",
            "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
        }
    ),
)
_THRESHOLD = Enum(
    "SafetySetting.HarmBlockThreshold",
    frozenset(
        {
            "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
            "BLOCK_LOW_AND_ABOVE",
            "BLOCK_MEDIUM_AND_ABOVE",
            "BLOCK_ONLY_HIGH",
            "BLOCK_NONE",
            "OFF",
        }
    ),
)
_TASK = Enum(
    "TaskType",
    frozenset(
        {
            "TASK_TYPE_UNSPECIFIED",
            "RETRIEVAL_QUERY",
            "RETRIEVAL_DOCUMENT",
            "SEMANTIC_SIMILARITY",
            "CLASSIFICATION",
            "CLUSTERING",
            "QUESTION_ANSWERING",
            "FACT_VERIFICATION",
            "CODE_RETRIEVAL_QUERY",
        }
    ),
)
_BEHAVIOR = Enum("FunctionDeclaration.Behavior", frozenset({"UNSPECIFIED", "BLOCKING", "NON_BLOCKING"}))
_SCHEDULING = Enum(
    "FunctionResponse.Scheduling", frozenset({"SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT"})
)

_BLOB = Form("Blob", {"mimeType": STRING, "data": BYTES, "displayName": STRING})
_FILE = Form("FileData", {"mimeType": STRING, "fileUri": STRING, "displayName": STRING})
_CALL = Form("FunctionCall", {"id": STRING, "name": STRING, "args": STRUCT})
_RESPONSE = Form(
    "FunctionResponse",
    {
        "id": STRING,
        "name": STRING,
        "response": STRUCT,
        "parts": Repeated(ANY),
        "willContinue": BOOL,
        "scheduling": _SCHEDULING,
    },
)
DATA_FIELDS = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
"""Of these a part has exactly one."""

_PART = Form(
    "Part",
    {
        "text": STRING,
        "inlineData": _BLOB,
        "fileData": _FILE,
        "functionCall": _CALL,
        "functionResponse": _RESPONSE,
        "executableCode": ANY,
        "codeExecutionResult": ANY,
        "toolCall": ANY,
        "toolResponse": ANY,
        "thought": BOOL,
        "thoughtSignature": BYTES,
        "videoMetadata": ANY,
        "partMetadata": STRUCT,
        "mediaResolution": ANY,
        "audioTranscription": ANY,
        "mediaProcessing": ANY,
        "speechMetadata": ANY,
    },
)
_CONTENT = Form("Content", {"role": STRING, "parts": Repeated(_PART)})
_SCHEMA = Form(
    "Schema",
    {
        "type": _TYPE,
        "format": STRING,
        "title": STRING,
        "description": STRING,
        "nullable": BOOL,
        "enum": Repeated(STRING),
        "maxItems": INT64,
        "minItems": INT64,
        "properties": Named("Schema"),
        "required": Repeated(STRING),
        "minProperties": INT64,
        "maxProperties": INT64,
        "minLength": INT64,
        "maxLength": INT64,
        "pattern": STRING,
        "example": ANY,
        "anyOf": Repeated("Schema"),
        "propertyOrdering": Repeated(STRING),
        "default": ANY,
        "items": "Schema",
        "minimum": FLOAT,
        "maximum": FLOAT,
        "additionalProperties": ANY,
        "defs": Named("Schema"),
        "ref": STRING,
    },
)
_DECLARATION = Form(
    "FunctionDeclaration",
    {
        "name": STRING,
        "description": STRING,
        "behavior": _BEHAVIOR,
        "parameters": "Schema",
        "parametersJsonSchema": ANY,
        "response": "Schema",
        "responseJsonSchema": ANY,
    },
)
HOSTED_TOOLS = (
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "computerUse",
    "fileSearch",
    "googleMaps",
    "mcpServers",
)
_TOOL = Form("Tool", {"functionDeclarations": Repeated(_DECLARATION), **dict.fromkeys(HOSTED_TOOLS, ANY)})
_TOOL_CONFIG = Form(
    "ToolConfig",
    {
        "functionCallingConfig": Form(
            "FunctionCallingConfig",
            {"mode": _MODE, "allowedFunctionNames": Repeated(STRING), "streamFunctionCallArguments": BOOL},
        ),
        "retrievalConfig": ANY,
        "includeServerSideToolInvocations": BOOL,
    },
)
_GENERATION = Form(
    "GenerationConfig",
    {
        "maxOutputTokens": INT32,
        "temperature": FLOAT,
        "topP": FLOAT,
        "topK": INT32,
        "candidateCount": INT32,
        "stopSequences": Repeated(STRING),
        "seed": INT32,
        "presencePenalty": FLOAT,
        "frequencyPenalty": FLOAT,
        "responseLogprobs": BOOL,
        "logprobs": INT32,
        "responseMimeType": STRING,
        "responseSchema": "Schema",
        "responseJsonSchema": ANY,
        "thinkingConfig": Form(
            "ThinkingConfig", {"includeThoughts": BOOL, "thinkingBudget": INT32, "thinkingLevel": _LEVEL}
        ),
        "responseModalities": Repeated(ANY),
        "mediaResolution": ANY,
        "speechConfig": ANY,
        "imageConfig": ANY,
        "audioTranscriptionConfig": ANY,
        "enableEnhancedCivicAnswers": BOOL,
    },
)

GENERATE = Form(
    "GenerateContentRequest",
    {
        "model": STRING,
        "contents": Repeated(_CONTENT),
        "systemInstruction": _CONTENT,
        "tools": Repeated(_TOOL),
        "toolConfig": _TOOL_CONFIG,
        "generationConfig": _GENERATION,
        "safetySettings": Repeated(Form("SafetySetting", {"category": _CATEGORY, "threshold": _THRESHOLD})),
        "cachedContent": STRING,
        "serviceTier": STRING,
        "store": BOOL,
        "labels": Named(STRING),
        "continuationToken": STRING,
    },
)
COUNT = Form(
    "CountTokensRequest",
    {"model": STRING, "contents": Repeated(_CONTENT), "generateContentRequest": GENERATE},
)
EMBED = Form(
    "EmbedContentRequest",
    {
        "model": STRING,
        "content": _CONTENT,
        "taskType": _TASK,
        "title": STRING,
        "outputDimensionality": INT32,
    },
)
EMBED_BATCH = Form("BatchEmbedContentsRequest", {"model": STRING, "requests": Repeated(EMBED)})
FORMS = {"Schema": _SCHEMA}
"""Forms that hold themselves, by their names."""
