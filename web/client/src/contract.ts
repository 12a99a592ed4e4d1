// What the server says and takes, as types. Made of contract/openapi.json by `python -m tools.client_types --write`;
// changed there, never here.

export interface components {
  readonly schemas: {
    /** Only some of the tools: one of them must be called, or may. */
    readonly AllowedToolsChoice: {
      readonly type: "allowed_tools";
      readonly mode: "auto" | "required";
      readonly tools: readonly (
        | components["schemas"]["FunctionChoice"]
        | components["schemas"]["CustomChoice"]
        | {
            readonly type: string;
          }
      )[];
    };
    /** Another answer is wanted, behind an item, or at the end. */
    readonly AnswerEntry: {
      readonly type: "answer";
      readonly id: string;
      readonly conversation: string;
      readonly feature?: string | null;
      readonly request?: Readonly<Record<string, unknown>> | null;
      readonly after?: string;
    };
    /** What a client needs to know at its start. */
    readonly Bootstrap: {
      readonly name: string;
      readonly version: string;
      readonly development: boolean;
      readonly anonymous: boolean;
      readonly features: readonly string[];
      readonly default_feature: string | null;
      readonly default_model: string | null;
      readonly models: readonly components["schemas"]["BootstrapModel"][];
      readonly protocol: components["schemas"]["ProtocolSpoken"];
      readonly minimum_client: Readonly<Record<string, string>>;
      readonly switches: Readonly<Record<string, boolean | number | string>>;
      readonly sync: components["schemas"]["SyncTermsTold"];
      readonly revision: string;
    };
    /** A model that a new person may chat with. */
    readonly BootstrapModel: {
      readonly id: string;
      readonly title: string;
    };
    /**
     * How a budget stands. `step` counts the steps of `degrade_at` that are passed; `feature` is
     * there for a feature's.
     */
    readonly BudgetLeft: {
      readonly scope: string;
      readonly per: "day" | "month" | "total";
      readonly state: "degraded" | "ok" | "spent";
      readonly step: number;
      readonly when_spent: "free" | "refuse";
      readonly resets_at: number | null;
      readonly feature?: string;
      readonly usd?: number;
      readonly spent_usd?: number;
      readonly held_usd?: number;
      readonly left_usd?: number;
    };
    /** Where a provider may end what it caches of a prompt. */
    readonly CacheBreakpoint: {
      readonly mode: "explicit";
      readonly ttl?: "12h" | "30m" | null;
    };
    /** An answer is not wanted any more. */
    readonly CancelEntry: {
      readonly type: "cancel";
      readonly id: string;
      readonly response: string;
    };
    /** Another branch of a conversation was chosen. */
    readonly ChooseEntry: {
      readonly type: "choose";
      readonly id: string;
      readonly conversation: string;
      readonly branch: number;
    };
    /** A part of an item's content begins. */
    readonly ContentPartAdded: {
      readonly type: "response.content_part.added";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly part:
        | components["schemas"]["OutputText"]
        | components["schemas"]["OutputRefusal"]
        | components["schemas"]["OutputReasoningText"];
    };
    /** A part of an item's content has ended. */
    readonly ContentPartDone: {
      readonly type: "response.content_part.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly part:
        | components["schemas"]["OutputText"]
        | components["schemas"]["OutputRefusal"]
        | components["schemas"]["OutputReasoningText"];
    };
    /**
     * A branch: along its parent up to the position `fork`, then items of its own up to `length`.
     */
    readonly ConversationBranch: {
      readonly number: number;
      readonly object: "conversation.branch";
      readonly parent: number | null;
      readonly fork: number;
      readonly length: number;
      readonly first_words: string;
      readonly chosen: boolean;
    };
    /** All branches of a conversation, in the order of their numbers. */
    readonly ConversationBranchList: {
      readonly object: "list";
      readonly data: readonly components["schemas"]["ConversationBranch"][];
    };
    /** A conversation begins, under an id that the device has made. */
    readonly ConversationEntry: {
      readonly type: "conversation";
      readonly id: string;
      readonly conversation: string;
      readonly title?: string | null;
      readonly metadata?: Readonly<Record<string, string>> | null;
    };
    /** What a page must send beside the cookies of this session. */
    readonly CsrfToken: {
      readonly id: string;
      readonly csrf_token: string;
    };
    /**
     * The session, or the token of an identity provider, that asks. `csrf_token` is for sessions in
     * a cookie.
     */
    readonly CurrentSession: {
      readonly id: string;
      readonly user: string;
      readonly tier: string | null;
      readonly expires_at: number;
      readonly csrf_token?: string;
    };
    /** This custom tool and no other. */
    readonly CustomChoice: {
      readonly type: "custom";
      readonly name: string;
    };
    /** A tool that takes text instead of JSON. */
    readonly CustomTool: {
      readonly type: "custom";
      readonly name: string;
      readonly description?: string | null;
      readonly format?:
        | components["schemas"]["PlainFormat"]
        | components["schemas"]["GrammarFormat"]
        | null;
    };
    /** More of the text for a custom tool. */
    readonly CustomToolCallInputDelta: {
      readonly type: "response.custom_tool_call_input.delta";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly delta: string;
      /** Hides the delta's length; only with `include_obfuscation`. */
      readonly obfuscation?: string;
    };
    /** All of the text for a custom tool. */
    readonly CustomToolCallInputDone: {
      readonly type: "response.custom_tool_call_input.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly input: string;
    };
    /** A conversation was deleted, or one item of it. */
    readonly DeleteEntry: {
      readonly type: "delete";
      readonly id: string;
      readonly conversation: string;
      readonly item?: string | null;
    };
    /**
     * What a tool of a device said to one call; it is of the call's own kind, where none is said.
     */
    readonly DeviceOutput: {
      readonly call_id: string;
      readonly output: string | readonly Readonly<Record<string, unknown>>[];
      readonly type?: "custom_tool_call_output" | "function_call_output";
    };
    /** What was said about caching. */
    readonly EchoedCacheOptions: {
      readonly mode: "explicit" | "implicit";
      readonly ttl: "12h" | "30m";
    };
    /** The conversation that the response belongs to. */
    readonly EchoedConversation: {
      readonly id: string;
    };
    /** The feature whose instructions were asked for, and the values for their variables. */
    readonly EchoedPrompt: {
      readonly id: string;
      readonly variables: Readonly<Record<string, string>> | null;
      readonly version: null;
    };
    /** What was said about thinking. */
    readonly EchoedReasoning: {
      readonly effort:
        | "high"
        | "low"
        | "max"
        | "medium"
        | "minimal"
        | "none"
        | "xhigh"
        | null;
      readonly summary: "auto" | "concise" | "detailed" | null;
      readonly context: "all_turns" | "auto" | "current_turn" | null;
    };
    /** Somebody said something else than in an item: that comes beside it. */
    readonly EditEntry: {
      readonly type: "edit";
      readonly id: string;
      readonly conversation: string;
      readonly feature?: string | null;
      readonly request?: Readonly<Record<string, unknown>> | null;
      readonly item: string;
      readonly content: string | readonly Readonly<Record<string, unknown>>[];
    };
    /** OpenAI's error body. */
    readonly Error: {
      readonly error: components["schemas"]["ErrorDetails"];
    };
    /** What went wrong, for people (`message`) and for programs (`code`). */
    readonly ErrorDetails: {
      readonly message: string;
      readonly type: string;
      readonly param: string | null;
      readonly code: string | null;
    };
    /** A token and how likely it was. */
    readonly EventLogprob: {
      readonly token: string;
      readonly logprob: number;
      readonly top_logprobs: readonly components["schemas"]["EventTopLogprob"][];
    };
    /** A token that could have stood here. */
    readonly EventTopLogprob: {
      readonly token: string;
      readonly logprob: number;
    };
    /** Something that a person wants to have remembered. */
    readonly Fact: {
      readonly id: string;
      readonly object: "fact";
      readonly words: string;
      readonly response_id: string | null;
      readonly created_at: number;
      readonly changed_at: number;
    };
    /** What is to be remembered. */
    readonly FactBody: {
      readonly words: string;
    };
    /** A fact that was erased. */
    readonly FactDeleted: {
      readonly id: string;
      readonly object: "fact";
      readonly deleted: true;
    };
    /** Something that is to be remembered, in other words than before, or not any more (null). */
    readonly FactEntry: {
      readonly type: "fact";
      readonly id: string;
      readonly fact: string;
      readonly words: string | null;
    };
    /** A page of what is remembered, the latest first. */
    readonly FactList: {
      readonly object: "list";
      readonly data: readonly components["schemas"]["Fact"][];
      readonly first_id: string | null;
      readonly last_id: string | null;
      readonly has_more: boolean;
    };
    /**
     * What somebody says of a response. `correction` is what it should have been; `feature` and
     * `model` are its own.
     */
    readonly Feedback: {
      readonly id: string;
      readonly object: "feedback";
      readonly response_id: string;
      readonly rating: "down" | "up";
      readonly reason:
        | "incomplete"
        | "language"
        | "other"
        | "slow"
        | "style"
        | "too_long"
        | "too_short"
        | "unhelpful"
        | "unsafe"
        | "wrong"
        | null;
      readonly comment: string | null;
      readonly correction: string | null;
      readonly feature: string | null;
      readonly model: string | null;
      readonly created_at: number;
      readonly changed_at: number;
      readonly expires_at: number | null;
    };
    /**
     * What somebody says of a response of theirs. It replaces what they said of it before, all of
     * it.
     */
    readonly FeedbackBody: {
      readonly response_id: string;
      readonly rating: "down" | "up";
      readonly reason?:
        | "incomplete"
        | "language"
        | "other"
        | "slow"
        | "style"
        | "too_long"
        | "too_short"
        | "unhelpful"
        | "unsafe"
        | "wrong"
        | null;
      readonly comment?: string | null;
      readonly correction?: string | null;
    };
    /** Feedback that was taken back. */
    readonly FeedbackDeleted: {
      readonly id: string;
      readonly object: "feedback";
      readonly deleted: true;
    };
    /** What somebody thinks of an answer; without a rating, nothing any more. */
    readonly FeedbackEntry: {
      readonly type: "feedback";
      readonly id: string;
      readonly response: string;
      readonly rating: "down" | "up" | null;
      readonly reason?:
        | "incomplete"
        | "language"
        | "other"
        | "slow"
        | "style"
        | "too_long"
        | "too_short"
        | "unhelpful"
        | "unsafe"
        | "wrong"
        | null;
      readonly comment?: string | null;
      readonly correction?: string | null;
    };
    /** A page of what the caller said, the latest first. */
    readonly FeedbackList: {
      readonly object: "list";
      readonly data: readonly components["schemas"]["Feedback"][];
      readonly first_id: string | null;
      readonly last_id: string | null;
      readonly has_more: boolean;
    };
    /** A file that the text rests on, and where in the text it is named. */
    readonly FileCitation: {
      readonly type: "file_citation";
      readonly file_id: string;
      readonly filename: string;
      readonly index: number;
    };
    /** More of a call's arguments. */
    readonly FunctionCallArgumentsDelta: {
      readonly type: "response.function_call_arguments.delta";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly delta: string;
      /** Hides the delta's length; only with `include_obfuscation`. */
      readonly obfuscation?: string;
    };
    /** All of a call's arguments. */
    readonly FunctionCallArgumentsDone: {
      readonly type: "response.function_call_arguments.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly name: string;
      readonly arguments: string;
    };
    /** This function and no other. */
    readonly FunctionChoice: {
      readonly type: "function";
      readonly name: string;
    };
    /** A function that the model may call. `parameters` is a JSON schema. */
    readonly FunctionTool: {
      readonly type: "function";
      readonly name: string;
      readonly description?: string | null;
      readonly parameters?: Readonly<Record<string, unknown>> | null;
      readonly strict?: boolean | null;
      readonly output_schema?: Readonly<Record<string, unknown>> | null;
    };
    /** Text that a grammar describes. */
    readonly GrammarFormat: {
      readonly type: "grammar";
      readonly definition: string;
      readonly syntax: "lark" | "regex";
    };
    /** Why a response stops early. */
    readonly IncompleteDetails: {
      readonly reason: "content_filter" | "max_output_tokens";
    };
    /** Something to read: a data URL, a URL, or the provider's id of it. */
    readonly InputFilePart: {
      readonly type: "input_file";
      readonly filename?: string | null;
      readonly file_data?: string | null;
      readonly file_id?: string | null;
      readonly file_url?: string | null;
      readonly detail?: "auto" | "high" | "low" | null;
      readonly prompt_cache_breakpoint?: components["schemas"]["CacheBreakpoint"] | null;
    };
    /** A picture: an https URL, a data URL, or the provider's id of it. */
    readonly InputImagePart: {
      readonly type: "input_image";
      readonly image_url?: string | null;
      readonly file_id?: string | null;
      readonly detail?: "auto" | "high" | "low" | "original" | null;
      readonly prompt_cache_breakpoint?: components["schemas"]["CacheBreakpoint"] | null;
    };
    /** Words. */
    readonly InputTextPart: {
      readonly type: "input_text";
      readonly text: string;
      readonly prompt_cache_breakpoint?: components["schemas"]["CacheBreakpoint"] | null;
    };
    /** What the input's tokens are made of; 0 where the provider did not say. */
    readonly InputTokensDetails: {
      readonly cached_tokens: number;
      readonly cache_write_tokens: number;
    };
    /** Some JSON object. */
    readonly JsonObjectFormat: {
      readonly type: "json_object";
    };
    /** JSON that fits a schema. */
    readonly JsonSchemaFormat: {
      readonly type: "json_schema";
      readonly name: string;
      readonly schema: Readonly<Record<string, unknown>>;
      readonly description?: string | null;
      readonly strict?: boolean | null;
    };
    /**
     * What is left of one of the caller's own limits. `per` is null for what counts while it is
     * under way; `resets_at` tells when it is whole again, null where it is, or where no time
     * brings it back.
     */
    readonly LimitLeft: {
      readonly kind: "concurrent" | "concurrent_streams" | "requests" | "tokens";
      readonly per: "day" | "minute" | null;
      readonly limit: number;
      readonly remaining: number;
      readonly resets_at: number | null;
    };
    /** What came before, made shorter and sealed. */
    readonly ListedCompaction: {
      readonly type: "compaction";
      readonly id: string;
      readonly encrypted_content: string;
      readonly created_by?: string;
    };
    /** A call of a custom tool. */
    readonly ListedCustomToolCall: {
      readonly type: "custom_tool_call";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly call_id: string;
      readonly name: string;
      readonly input: string;
    };
    /** What a custom tool returned. */
    readonly ListedCustomToolCallOutput: {
      readonly type: "custom_tool_call_output";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly call_id: string;
      readonly output:
        | string
        | readonly (
            | components["schemas"]["InputTextPart"]
            | components["schemas"]["InputImagePart"]
            | components["schemas"]["InputFilePart"]
            | components["schemas"]["OutputTextPart"]
            | components["schemas"]["RefusalPart"]
            | components["schemas"]["PlainTextPart"]
            | {
                readonly type: string;
              }
          )[];
    };
    /** A call of a function. */
    readonly ListedFunctionCall: {
      readonly type: "function_call";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    };
    /** What a function returned. */
    readonly ListedFunctionCallOutput: {
      readonly type: "function_call_output";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly call_id: string;
      readonly output:
        | string
        | readonly (
            | components["schemas"]["InputTextPart"]
            | components["schemas"]["InputImagePart"]
            | components["schemas"]["InputFilePart"]
            | components["schemas"]["OutputTextPart"]
            | components["schemas"]["RefusalPart"]
            | components["schemas"]["PlainTextPart"]
            | {
                readonly type: string;
              }
          )[];
      readonly name?: string;
    };
    /** A message, of a person, of the app, or of the model. What was said in one text is a part. */
    readonly ListedMessage: {
      readonly type: "message";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly role: "assistant" | "developer" | "system" | "user";
      readonly content: readonly (
        | components["schemas"]["InputTextPart"]
        | components["schemas"]["InputImagePart"]
        | components["schemas"]["InputFilePart"]
        | components["schemas"]["OutputTextPart"]
        | components["schemas"]["RefusalPart"]
        | components["schemas"]["PlainTextPart"]
        | {
            readonly type: string;
          }
      )[];
      readonly phase?: "commentary" | "final_answer";
    };
    /**
     * What a model thought. `encrypted_content` is there where `include` asks for it, and it was
     * sealed.
     */
    readonly ListedReasoning: {
      readonly type: "reasoning";
      readonly id: string;
      readonly summary: readonly components["schemas"]["SummaryText"][];
      readonly content?: readonly components["schemas"]["ReasoningText"][];
      readonly encrypted_content?: string;
      readonly status?: "completed" | "in_progress" | "incomplete";
    };
    /**
     * A secret key, and what it may; `scopes` is null where it may all that its role may. It has no
     * `limits`.
     */
    readonly MeAsKey: {
      readonly role: "operator" | "reviewer" | "server";
      readonly id: string;
      readonly expires_at: number | null;
      readonly models: readonly string[];
      readonly scopes:
        | readonly (
            | "feedback"
            | "keys"
            | "sessions"
            | "turns"
            | "usage"
            | "users"
          )[]
        | null;
      readonly limits: readonly components["schemas"]["LimitLeft"][];
      readonly budgets: readonly components["schemas"]["BudgetLeft"][];
      readonly works: components["schemas"]["Works"];
    };
    /**
     * A user, what they may, and how much of it is left; `features` is null where none are
     * configured.
     */
    readonly MeAsUser: {
      readonly role: "user";
      readonly id: string;
      readonly expires_at: number;
      readonly models: readonly string[];
      readonly user: string;
      readonly anonymous: boolean;
      readonly tier: string | null;
      readonly groups: readonly string[];
      readonly features: readonly string[] | null;
      readonly app: string | null;
      readonly limits: readonly components["schemas"]["LimitLeft"][];
      readonly budgets: readonly components["schemas"]["BudgetLeft"][];
      readonly works: components["schemas"]["Works"];
    };
    /** Somebody said something: at the end, behind the item `after`, or at the beginning (null). */
    readonly MessageEntry: {
      readonly type: "message";
      readonly id: string;
      readonly conversation: string;
      readonly feature?: string | null;
      readonly request?: Readonly<Record<string, unknown>> | null;
      readonly content: string | readonly Readonly<Record<string, unknown>>[];
      readonly after?: string | null;
    };
    /** A conversation got other metadata. */
    readonly MetadataEntry: {
      readonly type: "metadata";
      readonly id: string;
      readonly conversation: string;
      readonly metadata: Readonly<Record<string, string>> | null;
    };
    /** A call of a custom tool. */
    readonly OutputCustomToolCall: {
      readonly type: "custom_tool_call";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly call_id: string;
      readonly name: string;
      readonly input: string;
    };
    /** A call of a function. */
    readonly OutputFunctionCall: {
      readonly type: "function_call";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    };
    /** An item begins. */
    readonly OutputItemAdded: {
      readonly type: "response.output_item.added";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly output_index: number;
      readonly item:
        | components["schemas"]["OutputMessage"]
        | components["schemas"]["OutputReasoning"]
        | components["schemas"]["OutputFunctionCall"]
        | components["schemas"]["OutputCustomToolCall"];
    };
    /** An item has ended. */
    readonly OutputItemDone: {
      readonly type: "response.output_item.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly output_index: number;
      readonly item:
        | components["schemas"]["OutputMessage"]
        | components["schemas"]["OutputReasoning"]
        | components["schemas"]["OutputFunctionCall"]
        | components["schemas"]["OutputCustomToolCall"];
    };
    /** A message of the model. */
    readonly OutputMessage: {
      readonly type: "message";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly role: "assistant";
      readonly content: readonly (
        | components["schemas"]["OutputText"]
        | components["schemas"]["OutputRefusal"]
      )[];
      readonly phase?: "commentary" | "final_answer";
    };
    /**
     * What the model thought. `encrypted_content` is there where `include` asks and the provider
     * sealed it.
     */
    readonly OutputReasoning: {
      readonly type: "reasoning";
      readonly id: string;
      readonly status: "completed" | "in_progress" | "incomplete";
      readonly summary: readonly components["schemas"]["SummaryText"][];
      readonly content: readonly components["schemas"]["ReasoningText"][];
      readonly encrypted_content?: string;
    };
    /** What the model thinks. */
    readonly OutputReasoningText: {
      readonly type: "reasoning_text";
      readonly text: string;
    };
    /** The words with which the model declines. */
    readonly OutputRefusal: {
      readonly type: "refusal";
      readonly refusal: string;
    };
    /** Words. */
    readonly OutputText: {
      readonly type: "output_text";
      readonly text: string;
      readonly annotations: readonly (
        | components["schemas"]["UrlCitation"]
        | components["schemas"]["FileCitation"]
      )[];
      readonly logprobs: readonly components["schemas"]["TokenLogprob"][];
    };
    /** What the words so far rest on. */
    readonly OutputTextAnnotationAdded: {
      readonly type: "response.output_text.annotation.added";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      /** Counts the annotations of a part. */
      readonly annotation_index: number;
      readonly annotation:
        | components["schemas"]["UrlCitation"]
        | components["schemas"]["FileCitation"];
    };
    /** More words. */
    readonly OutputTextDelta: {
      readonly type: "response.output_text.delta";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly delta: string;
      readonly logprobs: readonly components["schemas"]["EventLogprob"][];
      /** Hides the delta's length; only with `include_obfuscation`. */
      readonly obfuscation?: string;
    };
    /** All words of a part. */
    readonly OutputTextDone: {
      readonly type: "response.output_text.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly text: string;
      readonly logprobs: readonly components["schemas"]["EventLogprob"][];
    };
    /** Words of an earlier answer. */
    readonly OutputTextPart: {
      readonly type: "output_text";
      readonly text: string;
      readonly annotations?: readonly unknown[] | null;
      readonly logprobs?: readonly unknown[] | null;
    };
    /** What the output's tokens are made of; 0 where the provider did not say. */
    readonly OutputTokensDetails: {
      readonly reasoning_tokens: number;
    };
    /**
     * Tools of a device said something, to calls of an answer: at the end, or behind the item
     * `after`. What the model makes of it is wanted.
     */
    readonly OutputsEntry: {
      readonly type: "outputs";
      readonly id: string;
      readonly conversation: string;
      readonly feature?: string | null;
      readonly request?: Readonly<Record<string, unknown>> | null;
      readonly outputs: readonly components["schemas"]["DeviceOutput"][];
      readonly after?: string;
    };
    /**
     * A conversation as an app lists it. `branch` is the chosen one of `branches`; `response_id` is
     * what is being made in it. It expires as long after its next change as it does after its last
     * one, `changed_at`.
     */
    readonly OwnConversation: {
      readonly id: string;
      readonly object: "conversation";
      readonly created_at: number;
      readonly metadata: Readonly<Record<string, string>>;
      readonly title: string | null;
      readonly pinned: boolean;
      readonly changed_at: number;
      readonly expires_at: number | null;
      readonly branch: number;
      readonly branches: number;
      readonly response_id: string | null;
    };
    /**
     * A page of the caller's own conversations: those that are pinned first, then those that
     * changed last.
     */
    readonly OwnConversationList: {
      readonly object: "list";
      readonly data: readonly components["schemas"]["OwnConversation"][];
      readonly first_id: string | null;
      readonly last_id: string | null;
      readonly has_more: boolean;
    };
    /** A conversation is pinned, or not any more. */
    readonly PinEntry: {
      readonly type: "pin";
      readonly id: string;
      readonly conversation: string;
      readonly pinned: boolean;
    };
    /** An item is told to every model from now on, or not any more. */
    readonly PinItemEntry: {
      readonly type: "pin_item";
      readonly id: string;
      readonly conversation: string;
      readonly item: string;
      readonly pinned: boolean;
    };
    /**
     * An item of a conversation and where it is: its branch, the item before, those that follow on
     * the same one, itself included. `response_id` is what made it or brought it along.
     */
    readonly PlacedItem: {
      readonly id: string;
      readonly object: "conversation.item";
      readonly item:
        | components["schemas"]["ListedMessage"]
        | components["schemas"]["ListedFunctionCall"]
        | components["schemas"]["ListedFunctionCallOutput"]
        | components["schemas"]["ListedCustomToolCall"]
        | components["schemas"]["ListedCustomToolCallOutput"]
        | components["schemas"]["ListedReasoning"]
        | components["schemas"]["ListedCompaction"];
      readonly branch: number;
      readonly position: number;
      readonly parent: string | null;
      readonly siblings: readonly components["schemas"]["Sibling"][];
      readonly response_id: string | null;
      readonly created_at: number;
      readonly pinned: boolean;
    };
    /** A page of them. It has fewer than were asked for where they are large. */
    readonly PlacedItemList: {
      readonly object: "list";
      readonly data: readonly components["schemas"]["PlacedItem"][];
      readonly first_id: string | null;
      readonly last_id: string | null;
      readonly has_more: boolean;
    };
    /** Free text. */
    readonly PlainFormat: {
      readonly type: "text";
    };
    /** Words, as some clients of Chat Completions spell them. */
    readonly PlainTextPart: {
      readonly type: "text";
      readonly text: string;
    };
    /**
     * What has changed behind the cursor that was sent, and after how many seconds to ask again.
     * With `reset` it is the first page of a first sync. Who knows another revision than
     * `bootstrap` asks for that again.
     */
    readonly Polled: {
      readonly cursor: string;
      readonly has_more: boolean;
      readonly reset?: true;
      readonly changes: readonly (
        | components["schemas"]["SyncedConversation"]
        | components["schemas"]["SyncedItem"]
        | components["schemas"]["SyncedTurn"]
        | components["schemas"]["SyncedFeedback"]
        | components["schemas"]["SyncedFact"]
        | components["schemas"]["SyncedGone"]
      )[];
      readonly poll_after_s: number;
      readonly bootstrap: string;
    };
    /** Which protocol apps speak with this server, and the oldest one that it still understands. */
    readonly ProtocolSpoken: {
      readonly version: number;
      readonly minimum: number;
    };
    /** A conversation was read as far as this item. */
    readonly ReadEntry: {
      readonly type: "read";
      readonly id: string;
      readonly conversation: string;
      readonly item: string;
    };
    /** A part of the summary begins. */
    readonly ReasoningSummaryPartAdded: {
      readonly type: "response.reasoning_summary_part.added";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly summary_index: number;
      readonly part: components["schemas"]["SummaryText"];
    };
    /** A part of the summary has ended. */
    readonly ReasoningSummaryPartDone: {
      readonly type: "response.reasoning_summary_part.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly summary_index: number;
      readonly part: components["schemas"]["SummaryText"];
    };
    /** More of the summary. */
    readonly ReasoningSummaryTextDelta: {
      readonly type: "response.reasoning_summary_text.delta";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly summary_index: number;
      readonly delta: string;
      /** Hides the delta's length; only with `include_obfuscation`. */
      readonly obfuscation?: string;
    };
    /** All of a part of the summary. */
    readonly ReasoningSummaryTextDone: {
      readonly type: "response.reasoning_summary_text.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly summary_index: number;
      readonly text: string;
    };
    /** A part of what a model thought. */
    readonly ReasoningText: {
      readonly type: "reasoning_text";
      readonly text: string;
    };
    /** More of what the model thinks. */
    readonly ReasoningTextDelta: {
      readonly type: "response.reasoning_text.delta";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly delta: string;
      /** Hides the delta's length; only with `include_obfuscation`. */
      readonly obfuscation?: string;
    };
    /** All that the model thought in this part. */
    readonly ReasoningTextDone: {
      readonly type: "response.reasoning_text.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly text: string;
    };
    /** A session that shall go on. Without a refresh token that of the cookie is meant. */
    readonly RefreshBody: {
      readonly refresh_token?: string | null;
    };
    /** More of the words with which the model declines. */
    readonly RefusalDelta: {
      readonly type: "response.refusal.delta";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly delta: string;
      /** Hides the delta's length; only with `include_obfuscation`. */
      readonly obfuscation?: string;
    };
    /** All words with which the model declines. */
    readonly RefusalDone: {
      readonly type: "response.refusal.done";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly item_id: string;
      readonly output_index: number;
      readonly content_index: number;
      readonly refusal: string;
    };
    /** With what words an earlier answer declined. */
    readonly RefusalPart: {
      readonly type: "refusal";
      readonly refusal: string;
    };
    /** A conversation got a name, or has none any more. */
    readonly RenameEntry: {
      readonly type: "rename";
      readonly id: string;
      readonly conversation: string;
      readonly title: string | null;
    };
    /** An answer, as far as it came, and what was asked for. */
    readonly Response: {
      readonly id: string;
      readonly object: "response";
      /** Seconds since 1970. */
      readonly created_at: number;
      readonly completed_at: number | null;
      readonly status:
        | "cancelled"
        | "completed"
        | "failed"
        | "in_progress"
        | "incomplete"
        | "queued";
      readonly error: components["schemas"]["ResponseError"] | null;
      readonly incomplete_details: components["schemas"]["IncompleteDetails"] | null;
      readonly model: string;
      readonly output: readonly (
        | components["schemas"]["OutputMessage"]
        | components["schemas"]["OutputReasoning"]
        | components["schemas"]["OutputFunctionCall"]
        | components["schemas"]["OutputCustomToolCall"]
      )[];
      readonly usage: components["schemas"]["ResponseUsage"] | null;
      readonly background: boolean;
      readonly conversation: components["schemas"]["EchoedConversation"] | null;
      readonly frequency_penalty: number;
      readonly instructions: string | null;
      readonly max_output_tokens: number | null;
      readonly max_tool_calls: null;
      readonly metadata: Readonly<Record<string, string>>;
      readonly moderation: null;
      readonly parallel_tool_calls: boolean;
      readonly presence_penalty: number;
      readonly previous_response_id: string | null;
      readonly prompt: components["schemas"]["EchoedPrompt"] | null;
      readonly prompt_cache_key: string | null;
      readonly prompt_cache_retention: "24h" | "in_memory" | null;
      readonly reasoning: components["schemas"]["EchoedReasoning"];
      readonly safety_identifier: string | null;
      /** The tier that served; else the one asked for. */
      readonly service_tier: string;
      /** Whether it can be retrieved. */
      readonly store: boolean;
      readonly temperature: number;
      readonly text: components["schemas"]["TextOptions"];
      readonly tool_choice:
        | "auto"
        | "none"
        | "required"
        | components["schemas"]["FunctionChoice"]
        | components["schemas"]["CustomChoice"]
        | components["schemas"]["AllowedToolsChoice"]
        | {
            readonly type: string;
          };
      readonly tools: readonly (
        | components["schemas"]["FunctionTool"]
        | components["schemas"]["CustomTool"]
        | {
            readonly type: string;
          }
      )[];
      readonly top_logprobs: number;
      readonly top_p: number;
      readonly truncation: "auto" | "disabled";
      readonly prompt_cache_options?: components["schemas"]["EchoedCacheOptions"];
      readonly user?: string;
    };
    /** The end of a whole answer. */
    readonly ResponseCompleted: {
      readonly type: "response.completed";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly response: components["schemas"]["Response"];
    };
    /** The first event. */
    readonly ResponseCreated: {
      readonly type: "response.created";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly response: components["schemas"]["Response"];
    };
    /** Why a response failed. */
    readonly ResponseError: {
      readonly code: string;
      readonly message: string;
    };
    /** The end of an answer that broke off. */
    readonly ResponseFailed: {
      readonly type: "response.failed";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly response: components["schemas"]["Response"];
    };
    /** The answer begins. */
    readonly ResponseInProgress: {
      readonly type: "response.in_progress";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly response: components["schemas"]["Response"];
    };
    /** The end of an answer that stops early; its status says whether it was cancelled. */
    readonly ResponseIncomplete: {
      readonly type: "response.incomplete";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly response: components["schemas"]["Response"];
    };
    /** The second one of a response in the background. */
    readonly ResponseQueued: {
      readonly type: "response.queued";
      /** Counts the events of a stream from 0, without gaps. */
      readonly sequence_number: number;
      readonly response: components["schemas"]["Response"];
    };
    /** What the response used, in tokens. */
    readonly ResponseUsage: {
      readonly input_tokens: number;
      readonly input_tokens_details: components["schemas"]["InputTokensDetails"];
      readonly output_tokens: number;
      readonly output_tokens_details: components["schemas"]["OutputTokensDetails"];
      readonly total_tokens: number;
    };
    /**
     * A session that began or goes on, with its tokens or, where they are in cookies, its
     * `csrf_token`.
     */
    readonly Session: {
      readonly id: string;
      readonly user: string;
      readonly expires_at: number;
      readonly refresh_expires_at?: number;
      readonly token?: string;
      readonly refresh_token?: string;
      readonly csrf_token?: string;
    };
    /**
     * A session that shall begin. `expires_in` is in seconds. With `cookie` its tokens go into
     * cookies.
     */
    readonly SessionBody: {
      readonly user?: string | null;
      readonly tier?: string | null;
      readonly groups?: readonly string[] | null;
      readonly features?: readonly string[] | null;
      readonly app?: string | null;
      readonly expires_in?: number;
      readonly refreshable?: boolean | null;
      readonly device?: string | null;
      readonly cookie?: boolean;
    };
    /** A session that ended. */
    readonly SessionEnded: {
      readonly id: string;
      readonly object: "session";
      readonly deleted: true;
    };
    /** An item that follows on the same one, and the branch that it begins or belongs to. */
    readonly Sibling: {
      readonly id: string;
      readonly branch: number;
    };
    /**
     * Of the event `bye`, the last one: why the stream ends, and when to come again, where that is
     * of use.
     */
    readonly StreamBye: {
      readonly error: components["schemas"]["ErrorDetails"];
      readonly retry_after_s?: number;
    };
    /**
     * Of the events `ready` and `heartbeat`: all up to this cursor has been told. Who knows another
     * revision than `bootstrap` asks for that again.
     */
    readonly StreamCursor: {
      readonly cursor: string;
      readonly bootstrap: string;
    };
    /**
     * Of the event `reset`: a first sync follows, up to `ready`. What is not told again by then is
     * no longer there.
     */
    readonly StreamReset: Readonly<Record<string, unknown>>;
    /** A part of the summary of what a model thought. */
    readonly SummaryText: {
      readonly type: "summary_text";
      readonly text: string;
    };
    /**
     * What became of what was pushed, and what has changed behind the cursor that was sent.
     * `cursor` is where to go on; with `reset` all that is not told again from here on is no longer
     * there.
     */
    readonly SyncAnswered: {
      readonly cursor: string;
      readonly has_more: boolean;
      readonly reset?: true;
      readonly results?: readonly components["schemas"]["SyncResult"][];
      readonly changes: readonly (
        | components["schemas"]["SyncedConversation"]
        | components["schemas"]["SyncedItem"]
        | components["schemas"]["SyncedTurn"]
        | components["schemas"]["SyncedFeedback"]
        | components["schemas"]["SyncedFact"]
        | components["schemas"]["SyncedGone"]
      )[];
    };
    /**
     * What a device sends: where it is, how much it takes, and what was done on it. `push` is read
     * entry by entry.
     */
    readonly SyncBody: {
      readonly cursor?: string | null;
      readonly limit?: number;
      readonly push?: readonly (
        | components["schemas"]["ConversationEntry"]
        | components["schemas"]["MessageEntry"]
        | components["schemas"]["AnswerEntry"]
        | components["schemas"]["EditEntry"]
        | components["schemas"]["OutputsEntry"]
        | components["schemas"]["CancelEntry"]
        | components["schemas"]["RenameEntry"]
        | components["schemas"]["PinEntry"]
        | components["schemas"]["ChooseEntry"]
        | components["schemas"]["MetadataEntry"]
        | components["schemas"]["DeleteEntry"]
        | components["schemas"]["PinItemEntry"]
        | components["schemas"]["ReadEntry"]
        | components["schemas"]["FeedbackEntry"]
        | components["schemas"]["FactEntry"]
      )[];
    };
    /** What became of an entry that was pushed. */
    readonly SyncResult: {
      readonly id: string | null;
      readonly status: "done" | "refused" | "waiting";
      readonly item?: string;
      readonly response?: string;
      readonly error?: components["schemas"]["ErrorDetails"];
      readonly retry_after_s?: number;
    };
    /**
     * How apps keep up: a connection that is silent for longer than `heartbeat_s` is lost; who has
     * none asks again after `poll_after_s`; so many entries, and bytes, may be brought at once.
     */
    readonly SyncTermsTold: {
      readonly heartbeat_s: number;
      readonly poll_after_s: number;
      readonly most_entries: number;
      readonly most_bytes: number;
    };
    /**
     * A branch of a conversation: along its parent up to the position `fork`, where its own items
     * begin.
     */
    readonly SyncedBranch: {
      readonly number: number;
      readonly parent: number | null;
      readonly fork: number;
      readonly length: number;
    };
    /**
     * A conversation as it is. `branch` is the chosen one; `branches` are told where there are
     * several. `response` is being made in it, `read_item` is the latest item that was read on any
     * device.
     */
    readonly SyncedConversation: {
      readonly type: "conversation";
      readonly id: string;
      readonly title?: string;
      readonly metadata?: Readonly<Record<string, string>>;
      readonly branch: number;
      readonly branches?: readonly components["schemas"]["SyncedBranch"][];
      readonly version: number;
      readonly response?: string;
      readonly created_at: number;
      readonly changed_at: number;
      readonly pinned_at?: number;
      readonly expires_at?: number;
      readonly read_item?: string;
      readonly follow_ups?: components["schemas"]["SyncedFollowUps"];
    };
    /**
     * What is to be remembered; `response` is where it was said, if nobody wrote it down
     * themselves.
     */
    readonly SyncedFact: {
      readonly type: "fact";
      readonly id: string;
      readonly words: string;
      readonly response?: string;
      readonly created_at: number;
      readonly changed_at: number;
    };
    /** What was said of a response. */
    readonly SyncedFeedback: {
      readonly type: "feedback";
      readonly response: string;
      readonly id: string;
      readonly rating: "down" | "up";
      readonly reason?:
        | "incomplete"
        | "language"
        | "other"
        | "slow"
        | "style"
        | "too_long"
        | "too_short"
        | "unhelpful"
        | "unsafe"
        | "wrong";
      readonly comment?: string;
      readonly correction?: string;
      readonly feature?: string;
      readonly model?: string;
      readonly created_at: number;
      readonly changed_at: number;
      readonly expires_at?: number;
    };
    /** What may be asked next, behind this response. */
    readonly SyncedFollowUps: {
      readonly response: string;
      readonly questions: readonly string[];
    };
    /** What is no longer there, by what names it; a conversation with all that is in it. */
    readonly SyncedGone: {
      readonly type: "conversation" | "fact" | "feedback" | "item" | "turn";
      readonly conversation?: string;
      readonly response?: string;
      readonly id?: string;
      readonly deleted: true;
    };
    /**
     * An item and its place. One of more than 256 kB has its `bytes` told instead of the `item`
     * itself.
     */
    readonly SyncedItem: {
      readonly type: "item";
      readonly conversation: string;
      readonly id: string;
      readonly branch: number;
      readonly position: number;
      readonly response?: string;
      readonly created_at: number;
      readonly pinned?: true;
      readonly item?:
        | components["schemas"]["ListedMessage"]
        | components["schemas"]["ListedFunctionCall"]
        | components["schemas"]["ListedFunctionCallOutput"]
        | components["schemas"]["ListedCustomToolCall"]
        | components["schemas"]["ListedCustomToolCallOutput"]
        | components["schemas"]["ListedReasoning"]
        | components["schemas"]["ListedCompaction"];
      readonly bytes?: number;
    };
    /**
     * How far an answer has come: the ticks beside a message. `id` is its response, `code` why it
     * failed.
     */
    readonly SyncedTurn: {
      readonly type: "turn";
      readonly conversation: string;
      readonly id: string;
      readonly state: "accepted" | "answered" | "answering" | "failed" | "read";
      readonly code?: string;
    };
    /** Any text: the default. */
    readonly TextFormat: {
      readonly type: "text";
    };
    /** The shape of the answer, and how many words it makes. */
    readonly TextOptions: {
      readonly format?:
        | components["schemas"]["TextFormat"]
        | components["schemas"]["JsonObjectFormat"]
        | components["schemas"]["JsonSchemaFormat"]
        | null;
      readonly verbosity?: "high" | "low" | "medium" | null;
    };
    /** A token and how likely it was. */
    readonly TokenLogprob: {
      readonly token: string;
      readonly logprob: number;
      readonly bytes: readonly number[];
      readonly top_logprobs: readonly components["schemas"]["TopLogprob"][];
    };
    /** A token that could have stood here. */
    readonly TopLogprob: {
      readonly token: string;
      readonly logprob: number;
      readonly bytes: readonly number[];
    };
    /** `was` has become `user`. */
    readonly Upgrade: {
      readonly object: "upgrade";
      readonly user: string;
      readonly was: string;
    };
    /**
     * An anonymous person whose things become a user's. Without a token that of the session's
     * cookie is meant.
     */
    readonly UpgradeBody: {
      readonly anonymous_token?: string | null;
      readonly user?: string | null;
    };
    /** A page that the text rests on, and where in it, in characters. */
    readonly UrlCitation: {
      readonly type: "url_citation";
      readonly url: string;
      readonly title: string;
      readonly start_index: number;
      readonly end_index: number;
    };
    /**
     * The models that would answer a small question now, and those of them that can do so for
     * nothing.
     */
    readonly Works: {
      readonly models: readonly string[];
      readonly free_models: readonly string[];
    };
  };
}
