"""What LLRP 1.1 added to 1.0.1, in the notation of `_llrp_table`; written by hand.

Source: GS1 Low Level Reader Protocol 1.1, 13 October 2010, chapters 15 (status codes) and 17
(binary encoding). The client-request messages are of 1.0.1 too, but not in the definition file.

`ADDED` has new type numbers, which mean the same whatever version a message claims. `CHANGED` has
parameters whose reserved bits became fields; they are read so in messages of version 1.1 alone.
"""

from typing import Final

MESSAGES: Final = """\
45 CLIENT_REQUEST_OP
46 GET_SUPPORTED_VERSION
47 SET_PROTOCOL_VERSION ProtocolVersion:u8
55 CLIENT_REQUEST_OP_RESPONSE
56 GET_SUPPORTED_VERSION_RESPONSE CurrentVersion:u8 SupportedVersion:u8
57 SET_PROTOCOL_VERSION_RESPONSE
"""

ADDED: Final = """\
15 ClientRequestOpSpecResult OpSpecID:u16
19 C1G2_XPC_W1 XPC_W1:u16
20 C1G2_XPC_W2 XPC_W2:u16
210 ClientRequestOpSpec OpSpecID:u16
211 ClientRequestResponse AccessSpecID:u32
355 LoopSpec LoopCount:u32
356 SpecLoopEvent ROSpecID:u32 LoopCount:u32
357 C1G2Recommission OpSpecID:u16 KillPassword:u32 _:5 SB3:u1 SB2:u1 LSB:u1
358 C1G2BlockPermalock OpSpecID:u16 AccessPassword:u32 MB:u2 _:6 BlockPointer:u16 BlockMask:u16v
359 C1G2GetBlockPermalockStatus OpSpecID:u16 AccessPassword:u32 MB:u2 _:6 BlockPointer:u16
  BlockRange:u16
360 C1G2RecommissionOpSpecResult Result:u8 OpSpecID:u16
361 C1G2BlockPermalockOpSpecResult Result:u8=C1G2BlockPermalockResultType OpSpecID:u16
362 C1G2GetBlockPermalockStatusOpSpecResult Result:u8=C1G2GetBlockPermalockStatusResultType
  OpSpecID:u16 PermalockStatus:u16v
363 MaximumReceiveSensitivity MaximumSensitivityValue:s16
365 RFSurveyFrequencyCapabilities MinimumFrequency:u32 MaximumFrequency:u32
"""

CHANGED: Final = """\
327 C1G2LLRPCapabilities CanSupportBlockErase:u1 CanSupportBlockWrite:u1
  CanSupportBlockPermalock:u1 CanSupportTagRecommissioning:u1 CanSupportUMIMethod2:u1
  CanSupportXPC:u1 _:2 MaxNumSelectFiltersPerQuery:u16
337 C1G2TagInventoryStateAwareSingulationAction I:u1=C1G2TagInventoryStateAwareI
  S:u1=C1G2TagInventoryStateAwareS S_All:u1 _:5
348 C1G2EPCMemorySelector EnableCRC:u1 EnablePCBits:u1 EnableXPCBits:u1 _:5
"""

ENUMERATIONS: Final = """\
C1G2BlockPermalockResultType 0=Success 1=Insufficient_Power 2=Nonspecific_Tag_Error
  3=No_Response_From_Tag 4=Nonspecific_Reader_Error 5=Incorrect_Password_Error
  6=Tag_Memory_Overrun_Error
C1G2GetBlockPermalockStatusResultType 0=Success 1=Nonspecific_Tag_Error 2=No_Response_From_Tag
  3=Nonspecific_Reader_Error 4=Incorrect_Password_Error 5=Tag_Memory_Overrun_Error
C1G2KillResultType 6=Incorrect_Password_Error
C1G2LockResultType 5=Incorrect_Password_Error 6=Tag_Memory_Overrun_Error 7=Tag_Memory_Locked_Error
C1G2ReadResultType 4=Memory_Overrun_Error 5=Memory_Locked_Error 6=Incorrect_Password_Error
C1G2WriteResultType 7=Incorrect_Password_Error
NotificationEventType 9=SpecLoop_Event
ROReportTriggerType 3=Upon_N_Seconds_Or_End_Of_AISpec 4=Upon_N_Seconds_Or_End_Of_ROSpec
  5=Upon_N_Milliseconds_Or_End_Of_AISpec 6=Upon_N_Milliseconds_Or_End_Of_ROSpec
StatusCode 112=M_UnexpectedMessage
TagObservationTriggerType 3=Upon_Seeing_N_Unique_Tags_Or_Timeout
  4=Upon_Seeing_No_More_New_Unique_Tags_For_Tms_Or_Timeout
"""
"""Values added to enumerations, and two new ones."""
