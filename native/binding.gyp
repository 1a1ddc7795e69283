{
  "variables": {
    "fusee_sanitize%": "<!(node -p \"process.env.FUSEE_SANITIZE || 'none'\")",
    "fusee_verbs%": "<!(node -p \"process.env.FUSEE_VERBS || 'no'\")",
    "fusee_src%": "src"
  },
  "targets": [
    {
      "target_name": "fusee",
      "sources": [
        "<(fusee_src)/addon.cc",
        "<(fusee_src)/addon_node.cc",
        "<(fusee_src)/addon_process.cc",
        "<(fusee_src)/addon_session.cc",
        "<(fusee_src)/addon_tcp.cc",
        "<(fusee_src)/crc.cc",
        "<(fusee_src)/executor.cc",
        "<(fusee_src)/life.cc",
        "<(fusee_src)/process.cc",
        "<(fusee_src)/region.cc",
        "<(fusee_src)/replay.cc",
        "<(fusee_src)/rpc_client.cc",
        "<(fusee_src)/rpc_server.cc",
        "<(fusee_src)/session.cc",
        "<(fusee_src)/session_core.cc",
        "<(fusee_src)/sha256.cc",
        "<(fusee_src)/sweep.cc",
        "<(fusee_src)/tcp_link.cc",
        "<(fusee_src)/tcp_peer.cc",
        "<(fusee_src)/tcp_resume.cc",
        "<(fusee_src)/tcp_server.cc",
        "<(fusee_src)/tcp_session.cc",
        "<(fusee_src)/tcp_socket.cc",
        "<(fusee_src)/toucher.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags_cc!": ["-std=gnu++17", "-O2"],
      "cflags_cc": ["-std=c++20", "-O3", "-Wall", "-Wextra", "-Wno-cast-function-type", "-fvisibility=hidden"],
      "conditions": [
        ["fusee_sanitize!='none'", {
          "cflags_cc": ["-fsanitize=<(fusee_sanitize)", "-g", "-O1", "-fno-omit-frame-pointer"],
          "ldflags": ["-fsanitize=<(fusee_sanitize)"]
        }]
      ]
    }
  ],
  "conditions": [
    ["fusee_verbs=='yes'", {
      "targets": [
        {
          "target_name": "verbs",
          "sources": [
            "<(fusee_src)/addon_verbs.cc",
            "<(fusee_src)/crc.cc",
            "<(fusee_src)/executor.cc",
            "<(fusee_src)/life.cc",
            "<(fusee_src)/process.cc",
            "<(fusee_src)/region.cc",
            "<(fusee_src)/rpc_client.cc",
            "<(fusee_src)/sha256.cc",
            "<(fusee_src)/verbs_device.cc",
            "<(fusee_src)/verbs_link.cc",
            "<(fusee_src)/verbs_peer.cc",
            "<(fusee_src)/verbs_server.cc",
            "<(fusee_src)/verbs_session.cc",
            "<(fusee_src)/verbs_session_calls.cc",
            "<(fusee_src)/verbs_session_setup.cc",
            "<(fusee_src)/verbs_watcher.cc"
          ],
          "libraries": ["-libverbs", "-lrdmacm"],
          "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
          "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
          "cflags_cc!": ["-std=gnu++17", "-O2"],
          "cflags_cc": ["-std=c++20", "-O3", "-Wall", "-Wextra", "-Wno-cast-function-type", "-fvisibility=hidden"],
          "conditions": [
            ["fusee_sanitize!='none'", {
              "cflags_cc": ["-fsanitize=<(fusee_sanitize)", "-g", "-O1", "-fno-omit-frame-pointer"],
              "ldflags": ["-fsanitize=<(fusee_sanitize)"]
            }]
          ]
        }
      ]
    }]
  ]
}
