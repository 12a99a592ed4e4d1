"""Files as providers export them: their columns in their order, values that are made up."""

from __future__ import annotations

OPENAI_COSTS = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,user_id,\
api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source
1782864000,1782950400,2026-07-01T00:00:00+00:00,2026-07-02T00:00:00+00:00,0.1250000000000000,usd,500000,tokens,\
"gpt-5-mini-2025-08-07, input",,,proj_a,org-1,Proj A,Org,a@example.com,
1782864000,1782950400,2026-07-01T00:00:00+00:00,2026-07-02T00:00:00+00:00,0.8750000000000000,usd,437500,tokens,\
"gpt-5-mini-2025-08-07, output",,,proj_a,org-1,Proj A,Org,a@example.com,
1782950400,1783036800,2026-07-02T00:00:00+00:00,2026-07-03T00:00:00+00:00,,,,,,,,,,,,,
1783036800,1783123200,2026-07-03T00:00:00,2026-07-04T00:00:00,0.02,usd,,,web search tool calls,,,proj_a,org-1,,Org,,
"""
OPENAI_COSTS_BY_DAY = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id,\
organization_name
1782864000,1782950400,2026-07-01T00:00:00+00:00,2026-07-02T00:00:00+00:00,1.0000000000000000,usd,,,org-1,Org
1782950400,1783036800,2026-07-02T00:00:00+00:00,2026-07-03T00:00:00+00:00,,,,,,
"""
OPENAI_USAGE = """\
start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,\
service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens
1782864000,1782950400,2026-07-01T00:00:00+00:00,2026-07-02T00:00:00+00:00,proj_a,10.0,user-1,key_1,\
gpt-5-mini-2025-08-07,FALSE,default,59200.0,10646.0,5760.0,53440.0
1782864000,1782950400,2026-07-01T00:00:00+00:00,2026-07-02T00:00:00+00:00,proj_b,1.0,user-1,key_1,\
gpt-5-mini-2025-08-07,FALSE,flex,800.0,354.0,0.0,800.0
1782950400,1783036800,2026-07-02T00:00:00+00:00,2026-07-03T00:00:00+00:00,,,,,,,,,,,
"""
ANTHROPIC_COSTS = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,\
inference_geo,speed,api_key_id,api_key_status
2026-07-01,Claude Haiku 4.5,Default,key,message,≤ 200k,input_no_cache,0.05,0.05,token,not_available,,apikey_1,active
2026-07-01,Claude Haiku 4.5,Default,key,message,≤ 200k,output,0.02,0.02,token,not_available,,apikey_1,active
2026-07-02,Claude Sonnet 4,Default,key,message,≤ 200k,output,0.30,0.30,token,not_available,,apikey_1,active
2026-07-02,,Default,key,,,,0.01,0.01,web_search,,,apikey_1,active
"""
ANTHROPIC_USAGE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,\
usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,\
usage_output_tokens,web_search_count,inference_geo,speed
2026-07-01,claude-haiku-4-5-20251001,key,Default,standard,≤ 200k,1000,200,30,4,500,0,global,
2026-07-01,claude-haiku-4-5-20251001,other,Default,standard,≤ 200k,1,0,0,0,2,0,global,
"""
OPENROUTER = """\
generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,byok_usage_inference,tokens_prompt,\
tokens_completion,tokens_reasoning,tokens_cached,model_permaslug,provider_name,variant,cancelled,streamed,user,\
finish_reason_raw,finish_reason_normalized,generation_time_ms,time_to_first_token_ms,api_key_disabled,api_key_name,\
app_name
gen-1,2026-07-01 03:46:57.713,0.0123,0,0,0,0,100,50,10,0,deepseek/deepseek-v4.1-flash-20260610,Novita,standard,false,\
true,,stop,stop,900,100,false,web,
gen-2,2026-07-01 23:59:59.999,1.5e-05,0,0,0,0,10,5,0,0,deepseek/deepseek-v4.1-flash-20260610,Novita,free,false,true,,\
stop,stop,900,100,false,web,
gen-3,2026-07-02 00:00:00.000,0.5,0,0,0,0,7,3,0,0,openai/gpt-oss-120b,Groq,standard,true,true,,stop,stop,9,1,false,web,
"""
