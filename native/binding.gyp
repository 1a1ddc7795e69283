{
  "variables": {
    "fusee_sanitize%": "<!(node -p \"process.env.FUSEE_SANITIZE || 'none'\")",
    "fusee_verbs%": "<!(node -p \"process.env.FUSEE_VERBS || 'no'\")",
    "fusee_src%": "src"
  },
  "targets": [
    {
      "target_name": "fusee",
      "sources": ["<(fusee_src)/unit_fusee.cc"],
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
          "sources": ["<(fusee_src)/unit_verbs.cc"],
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
